"""The tracking store: where runs are started, listed and found."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from hybridq.errors import ENVIRONMENT, UserError
from hybridq.metrics import mlflow_name, name_from_mlflow
from hybridq.paths import cache_root
from hybridq.tracking.guard import plainly, probe, quiet_mlflow, shown
from hybridq.tracking.local import ARTIFACTS, DATABASE, HOME_TAG, KIND, check_writable, open_local
from hybridq.tracking.provenance import provenance
from hybridq.tracking.run import DESCRIPTION, PARENT, Run, local_folder, note

EXPERIMENT = "hybridq"
RECIPE = "recipe"  # the tag with the recipe's name, which the runs of several seeds share
PAGE = 1000


@dataclass(frozen=True)
class RunView:
    """One run as it was logged; metrics under hybridq's names, times in UTC."""

    id: str
    name: str
    status: str  # RUNNING, FINISHED, FAILED or KILLED
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    started: datetime
    ended: datetime | None
    parent: str | None


def open_store(root: Path = Path("mlruns"), *, experiment: str = EXPERIMENT) -> Store:
    """Open the store at `MLFLOW_TRACKING_URI`, else the one under `root`, made on first use.

    Raises UserError, exit status 3, if the folder cannot be made, the database is damaged or nobody answers.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        root = root.resolve()
        return Store(open_local(root, experiment), experiment, root)
    if uri.split(":")[0] == "file" or ("://" not in uri and uri not in ("databricks", "uc")):
        near = f"sqlite:///{uri.removeprefix('file:').removeprefix('//').rstrip('/')}/{DATABASE}"
        raise UserError(
            f"MLFLOW_TRACKING_URI={uri}: MLflow 3 keeps no runs as files; name a database such as {near}",
            ENVIRONMENT,
        )
    if uri.startswith("sqlite:///"):
        database = Path(unquote(uri.removeprefix("sqlite:///"))).absolute()
        needed = database if database.exists() else database.parent
        if not os.access(needed, os.R_OK if database.exists() else os.W_OK):
            raise UserError(f"MLFLOW_TRACKING_URI={uri}: no access to {needed}", ENVIRONMENT)
    probe(uri)
    return Store(uri, experiment, None)


class Store:
    """A tracking store; `root` is its folder if it is the default kind, None at any other address."""

    def __init__(self, uri: str, experiment: str, root: Path | None) -> None:
        self.uri = uri
        self.experiment = experiment
        self.root = root
        self.label = str(root) if root else shown(uri)

    @cached_property
    def client(self) -> Any:
        """MLflow's client, for hybridq.tracking only; it is made on first use."""
        quiet_mlflow()
        from mlflow.tracking import MlflowClient

        with plainly(self.label):
            client = MlflowClient(self.uri)
            client.search_experiments(max_results=1)
        return client

    def start_run(
        self, name: str, *, params: Mapping[str, str], tags: Mapping[str, str], parent: str | None = None
    ) -> Run:
        """Start a run. The tags `description` (markdown) and `data.synthetic` make the note in MLflow's UI.

        Commit and versions are added as tags. `parent` is the id of the sweep's run.
        """
        if self.root:
            check_writable(self.root)
        told = provenance() | dict(tags)
        synthetic = told.get("data.synthetic") == "true"
        told["mlflow.note.content"] = note(told.pop(DESCRIPTION, ""), params, synthetic)
        told |= {PARENT: parent} if parent else {}
        with plainly(self.label):
            made = self.client.create_run(self._experiment_id(create=True), run_name=name)
        run = Run(self, made.info.run_id, name, made.info.artifact_uri)
        try:
            run.tags(told)
            run.params(params)
        except BaseException as error:
            run.close(error)
            raise
        return run

    def resume_run(self, run_id: str) -> Run:
        """Go on with a run that was interrupted: it counts as running again, and what was logged stays."""
        with plainly(self.label):
            self.client.update_run(run_id, status="RUNNING")
            found = self.client.get_run(run_id)
        run = Run(self, run_id, found.info.run_name, found.info.artifact_uri)
        run.forget_end()
        return run

    def runs(self, *, sweep: str | None = None, ids_or_names: Sequence[str] = ()) -> list[RunView]:
        """The runs of the experiment, oldest first, each once.

        With `sweep` (an id or name) that sweep's runs; with `ids_or_names` the run of that id, or all of that
        name or recipe. A sweep named so stands for its runs. Raises UserError for a name that no run has.
        """
        every = self._all()
        if sweep is not None:
            return _children(every, _find(every, sweep, self.label))
        chosen: dict[str, RunView] = {} if ids_or_names else {run.id: run for run in every}
        for word in ids_or_names:
            named = [run for run in every if word in (run.name, run.tags.get(RECIPE))]
            named = named or [_find(every, word, self.label)]
            for run in named:
                chosen |= {one.id: one for one in (_children(every, run) or [run])}
        return list(chosen.values())

    def find(self, id_or_name: str) -> RunView:
        """The run of that id, unique beginning of an id, or name (the newest finished); raises UserError."""
        return _find(self._all(), id_or_name, self.label)

    def download(self, run_id: str, path: str) -> Path:
        """A local path to an artifact (file or folder); from a server it is fetched into the cache folder."""
        with plainly(self.label):
            folder = local_folder(self.client.get_run(run_id).info.artifact_uri)
        if folder is None:
            target = cache_root() / "artifacts" / run_id
            target.mkdir(parents=True, exist_ok=True)
            with plainly(self.label):
                return Path(self.client.download_artifacts(run_id, path, str(target)))
        if not (folder / path).exists():
            raise UserError(f"run {run_id[:8]} has no artifact '{path}' (looked in {folder})")
        return folder / path

    def _experiment_id(self, *, create: bool) -> str | None:
        found = self.client.get_experiment_by_name(self.experiment)
        if found and found.lifecycle_stage == "deleted":
            raise UserError(
                f"the MLflow experiment '{self.experiment}' was deleted; bring it back with"
                f" `mlflow experiments restore --experiment-id {found.experiment_id}`",
                ENVIRONMENT,
            )
        if found:
            return str(found.experiment_id)
        if not create:
            return None
        home = self.root / ARTIFACTS if self.root else None
        return str(
            self.client.create_experiment(
                self.experiment,
                artifact_location=str(home / self.experiment) if home else None,
                tags=KIND | ({HOME_TAG: str(home)} if home else {}),
            )
        )

    def _all(self) -> list[RunView]:
        with plainly(self.label):
            experiment = self._experiment_id(create=False)
            views: list[RunView] = []
            token: str | None = None
            while experiment:
                page = self.client.search_runs(
                    [experiment], max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
                )
                views += [_view(run) for run in page]
                token = page.token
                if not token:
                    break
        return views

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """The values of a metric as (step, value), by step; of a step that was logged twice the later value."""
        with plainly(self.label):
            logged = self.client.get_metric_history(run_id, mlflow_name(metric))
        return sorted({one.step: float(one.value) for one in sorted(logged, key=lambda one: one.timestamp)}.items())

    def clips(self, run_id: str) -> dict[str, int]:
        """The clips of each split that the run was given; empty where it logged none."""
        with plainly(self.label):
            inputs = self.client.get_run(run_id).inputs
        profiles = [json.loads(one.dataset.profile or "{}") for one in inputs.dataset_inputs]
        return next((dict(profile["clips"]) for profile in profiles if profile.get("clips")), {})


def _view(run: Any) -> RunView:
    info, data = run.info, run.data
    return RunView(
        id=info.run_id,
        name=info.run_name,
        status=info.status,
        params=dict(data.params),
        metrics={name_from_mlflow(key): float(value) for key, value in data.metrics.items()},
        tags=dict(data.tags),
        started=datetime.fromtimestamp(info.start_time / 1000, UTC),
        ended=datetime.fromtimestamp(info.end_time / 1000, UTC) if info.end_time else None,
        parent=data.tags.get(PARENT),
    )


def _children(runs: Iterable[RunView], parent: RunView) -> list[RunView]:
    return [run for run in runs if run.parent == parent.id]


def _find(runs: Sequence[RunView], word: str, where: str) -> RunView:
    named = [run for run in runs if run.name == word]
    if named:
        return max(named, key=lambda run: (run.status == "FINISHED", run.started))
    begun = [run for run in runs if len(word) >= 4 and run.id.startswith(word)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise UserError(f"'{word}' begins the ids of {len(begun)} runs; give more of it")
    names = sorted({run.name for run in runs})
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.0)
    hint = f"the nearest names: {', '.join(near)}" if near else "no run has been logged yet"
    raise UserError(f"no run '{word}' in {where}; {hint}")
