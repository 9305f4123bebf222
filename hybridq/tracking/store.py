"""The tracking store: where runs are started, listed and found."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from hybridq.errors import ENVIRONMENT, NotWritable, UserError
from hybridq.paths import cache_root
from hybridq.tracking.connection import Connection
from hybridq.tracking.guard import probe, redacted
from hybridq.tracking.local import ARTIFACTS, DATABASE, HOME_TAG, KIND, check_writable, open_local, sqlite_file
from hybridq.tracking.metrics import mlflow_name
from hybridq.tracking.owner import owner_is_gone, owner_tags
from hybridq.tracking.provenance import provenance
from hybridq.tracking.run import DESCRIPTION, TAG_LIMIT, Run, cut, local_folder, note
from hybridq.tracking.run_view import PARENT, RunView, children, find, view_of

EXPERIMENT = "hybridq"
RECIPE = "recipe"  # the tag with the recipe's name, which the runs of several seeds share
CREATION = "creation"  # the tag by which a run is found whose creation was not answered
PAGE = 1000
NO_RUNS = "no runs are kept in {}: `hybridq train` and `hybridq sweep` log there"


def open_store(
    root: Path = Path("mlruns"), *, experiment: str = EXPERIMENT, wait: bool = False, make: bool = True
) -> Store:
    """Open the store at `MLFLOW_TRACKING_URI`, else the one under `root`; where there is none it is made, with `make`.

    Raises UserError: exit status 2 where there is none and it is not made; 3 where the folder cannot be made, the
    database is damaged or nobody answers: at once, or with `wait`, for a process that joins work in progress, after the
    time in `HYBRIDQ_TRACKING_WAIT`.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        root = root.resolve()
        if not (make or (root / DATABASE).exists()):
            raise UserError(NO_RUNS.format(root))
        return Store(open_local(root, experiment), experiment, root)
    if uri.split(":")[0] == "file" or ("://" not in uri and uri not in ("databricks", "uc")):
        shown = redacted(uri)
        near = f"sqlite:///{shown.removeprefix('file:').removeprefix('//').rstrip('/')}/{DATABASE}"
        raise UserError(
            f"MLFLOW_TRACKING_URI={shown}: MLflow 3 keeps no runs as files; name a database such as {near}", ENVIRONMENT
        )
    database = sqlite_file(uri)
    if database and not (make or database.exists()):
        raise UserError(NO_RUNS.format(database))
    if database:
        needed = database if database.exists() else database.parent
        if not os.access(needed, os.R_OK if database.exists() else os.W_OK):
            raise UserError(f"MLFLOW_TRACKING_URI={redacted(uri)}: no access to {needed}", ENVIRONMENT)
    if not wait:
        probe(uri)
    return Store(uri, experiment, None, wait)


class Store(Connection):
    """A tracking store, and the runs of one MLflow experiment in it."""

    def __init__(self, uri: str, experiment: str, root: Path | None, wait: bool = False) -> None:
        super().__init__(uri, root, wait)
        self.experiment = experiment

    def start_run(
        self, name: str, *, params: Mapping[str, str], tags: Mapping[str, str], parent: str | None = None
    ) -> Run:
        """Start a run. The tags `description` (markdown) and `data.synthetic` make the note in MLflow's UI.

        Commit and versions are added as tags. `parent` is the id of the sweep's run.
        """
        if self.root:
            check_writable(self.root)
        logged = provenance() | dict(tags)
        synthetic = logged.get("data.synthetic") == "true"
        logged["mlflow.note.content"] = note(logged.pop(DESCRIPTION, ""), params, synthetic)
        logged |= owner_tags() | {CREATION: uuid.uuid4().hex} | ({PARENT: parent} if parent else {})
        run = self._create_run(name, {key: cut(value, TAG_LIMIT) for key, value in logged.items()})
        try:
            run.params(params)
        except BaseException as error:
            run.close(error)
            raise
        return run

    def _create_run(self, name: str, tags: Mapping[str, str]) -> Run:
        """Made with its tags at once, and once: asked again, it looks for the run that the lost answer was about."""
        experiment = self.ask(lambda client: self._experiment_id(client, create=True))
        asked = False

        def create(client: Any) -> Any:
            nonlocal asked
            mine = f"tags.`{CREATION}` = '{tags[CREATION]}'"
            made = client.search_runs([experiment], mine, max_results=1) if asked else []
            asked = True
            return made[0] if made else client.create_run(experiment, run_name=name, tags=dict(tags))

        info = self.ask(create).info
        return Run(self, info.run_id, name, info.artifact_uri)

    def resume_run(self, run_id: str) -> Run:
        """Go on with a run that was interrupted: it counts as running again, and what was logged stays."""
        run = self.ended_run(run_id)
        run.take_over()
        return run

    def ended_run(self, run_id: str) -> Run:
        """A run that has ended, to log more to; that it has, and how, stays."""
        info = self.ask(lambda client: client.get_run(run_id)).info
        return Run(self, run_id, info.run_name, info.artifact_uri)

    def abandoned(self, view: RunView) -> bool:
        """Whether a run still counts as running although its process, on this machine, has ended.

        False for a run of another machine: nothing can be known of it.
        """
        return view.status == "RUNNING" and owner_is_gone(view.tags)

    def runs(self, *, sweep: str | None = None, ids_or_names: Sequence[str] = ()) -> list[RunView]:
        """The runs of the experiment, oldest first, each once.

        With `sweep` (an id or name) that sweep's runs; with `ids_or_names` the run of that id, or all of that
        name or recipe. A sweep named so stands for its runs. Raises UserError for a name that no run has.
        """
        every = self._all()
        if sweep is not None:
            return children(every, find(every, sweep, self.label))
        chosen: dict[str, RunView] = {} if ids_or_names else {run.id: run for run in every}
        for word in ids_or_names:
            named = [run for run in every if word in (run.name, run.tags.get(RECIPE))]
            named = named or [find(every, word, self.label)]
            for run in named:
                chosen |= {one.id: one for one in (children(every, run) or [run])}
        return list(chosen.values())

    def find(self, id_or_name: str) -> RunView:
        """The run of that id, unique beginning of an id, or name (the newest finished); raises UserError."""
        return find(self._all(), id_or_name, self.label)

    def download(self, run_id: str, path: str) -> Path:
        """A local path to an artifact (file or folder); from a server it is fetched into the cache folder."""
        source = self.ask(lambda client: client.get_run(run_id)).info.artifact_uri
        folder = local_folder(source)
        if folder is None:
            return self._fetch(run_id, source, path)
        if not (folder / path).exists():
            raise _no_artifact(run_id, path, str(folder))
        return folder / path

    def _fetch(self, run_id: str, source: str, path: str) -> Path:
        """Files arrive elsewhere and are renamed when whole, since another process may be reading the same ones."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        parent = PurePosixPath(path).parent.as_posix()
        home = cache_root() / "artifacts"
        try:
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home) as scratch:

                def fetch(client: Any) -> None:
                    # Not by the client, which says of every failure that the path is wrong.
                    files = get_artifact_repository(source, tracking_uri=self.uri)
                    if path not in {entry.path for entry in files.list_artifacts(None if parent == "." else parent)}:
                        raise _no_artifact(run_id, path, self.label)
                    files.download_artifacts(path, scratch)

                self.ask(fetch)
                for file in [one for one in Path(scratch).rglob("*") if one.is_file()]:
                    target = home / run_id / file.relative_to(scratch)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    file.replace(target)
        except OSError as error:
            raise NotWritable(home, error) from error
        return home / run_id / path

    def _experiment_id(self, client: Any, *, create: bool) -> str | None:
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment and experiment.lifecycle_stage == "deleted":
            raise UserError(
                f"the MLflow experiment '{self.experiment}' was deleted; bring it back with"
                f" `mlflow experiments restore --experiment-id {experiment.experiment_id}`",
                ENVIRONMENT,
            )
        if experiment:
            return str(experiment.experiment_id)
        if not create:
            return None
        home = self.root / ARTIFACTS if self.root else None
        return str(
            client.create_experiment(
                self.experiment,
                artifact_location=str(home / self.experiment) if home else None,
                tags=KIND | ({HOME_TAG: str(home)} if home else {}),
            )
        )

    def _all(self) -> list[RunView]:
        return [view_of(run) for run in self.ask(self._search)]

    def _search(self, client: Any) -> list[Any]:
        experiment = self._experiment_id(client, create=False)
        runs: list[Any] = []
        token: str | None = None
        while experiment:
            page = client.search_runs(
                [experiment], max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                break
        return runs

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """The values of a metric as (step, value), by step; of a step that was logged twice the later value."""
        logged = self.ask(lambda client: client.get_metric_history(run_id, mlflow_name(metric)))
        return sorted({one.step: float(one.value) for one in sorted(logged, key=lambda one: one.timestamp)}.items())

    def clips(self, run_id: str) -> dict[str, int]:
        """The clips of each split that the run was given; empty where it logged none."""
        inputs = self.ask(lambda client: client.get_run(run_id)).inputs
        profiles = [json.loads(one.dataset.profile or "{}") for one in inputs.dataset_inputs]
        return next((dict(profile["clips"]) for profile in profiles if profile.get("clips")), {})


def _no_artifact(run_id: str, path: str, where: str) -> UserError:
    return UserError(f"run {run_id[:8]} has no artifact '{path}' (looked in {where})")
