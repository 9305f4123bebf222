"""One run being logged. Everything goes to the store at once, so a crash loses nothing logged before it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from hybridq.errors import ENVIRONMENT, UserError
from hybridq.metrics import mlflow_name
from hybridq.tracking.guard import plainly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hybridq.tracking.store import Store

PARENT = "mlflow.parentRunId"
DESCRIPTION = "description"
SYNTHETIC_WARNING = "synthetic voices: for trying the tool, not a result"
PARAM_LIMIT, TAG_LIMIT, DIGEST_LIMIT = 6000, 8000, 36  # characters, MLflow's
PARAMS_AT_ONCE, METRICS_AT_ONCE = 100, 1000  # per log_batch, MLflow's
PICTURE_DPI = 150
NOTED_PARAMS = ("data.source", "training.seed", "training.epochs", "target")


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM); unwinds like Ctrl-C."""


class Run:
    """A run being logged, a context manager.

    It ends as FINISHED, as FAILED (tag `failure` says why) or, on Ctrl-C and SIGTERM, KILLED (`interrupted`).
    """

    def __init__(self, store: Store, run_id: str, name: str, artifact_uri: str) -> None:
        self.id = run_id
        self.name = name
        self._store = store
        self._folder = local_folder(artifact_uri)
        self._old_handler: Any = None

    def __enter__(self) -> Self:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._old_handler = signal.signal(signal.SIGTERM, _terminate)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._old_handler is not None:
            signal.signal(signal.SIGTERM, self._old_handler)
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """End the run; if the store fails too, the error that ended the run matters more."""
        status, tags = _ending(error)
        try:
            if tags:
                self.tags(tags)
            with plainly(self._store.label):
                self._store.client.set_terminated(self.id, status)
        except UserError:
            if error is None:
                raise

    def params(self, values: Mapping[str, str]) -> None:
        """Log parameters; a value longer than MLflow holds is cut and ends in an ellipsis."""
        from mlflow.entities import Param

        params = [Param(key, _cut(str(value), PARAM_LIMIT)) for key, value in values.items()]
        for at in range(0, len(params), PARAMS_AT_ONCE):
            self._log(params=params[at : at + PARAMS_AT_ONCE])

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags; a later value replaces an earlier one."""
        from mlflow.entities import RunTag

        tags = [RunTag(key, _cut(str(value), TAG_LIMIT)) for key, value in values.items()]
        for at in range(0, len(tags), PARAMS_AT_ONCE):
            self._log(tags=tags[at : at + PARAMS_AT_ONCE])

    def metrics(self, values: Mapping[str, float], step: int | None = None, at: float | None = None) -> None:
        """Log metrics under hybridq's names (see `hybridq.metrics`); `step` is the epoch.

        `at` is their time in seconds since 1970, now if not given: logged again with the same value, step and time, a
        metric is the same entry.
        """
        from mlflow.entities import Metric

        when = int(1000 * (time.time() if at is None else at))
        metrics = [Metric(mlflow_name(key), float(value), when, step or 0) for key, value in values.items()]
        for at in range(0, len(metrics), METRICS_AT_ONCE):
            self._log(metrics=metrics[at : at + METRICS_AT_ONCE])

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file, or of a folder and all in it, under `folder` of the run's artifacts."""
        path = Path(path)
        if path.is_dir():
            inside = f"{folder}/{path.name}" if folder else path.name
            for child in sorted(path.iterdir()):
                self.artifact(child, inside)
            return
        if self._folder is None:
            with plainly(self._store.label):
                self._store.client.log_artifact(self.id, str(path), folder)
            return
        target = self._folder / (folder or "") / path.name
        with plainly(str(self._folder)):
            _copy_whole(path, target)

    def figure(self, fig: Figure, name: str) -> None:
        """Keep a picture as `pictures/<name>.png`."""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"{name}.png"
            fig.savefig(path, dpi=PICTURE_DPI)
            self.artifact(path, "pictures")

    def text(self, name: str, data: str) -> None:
        """Keep a text as the artifact `name`, which may have folders in it."""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / Path(name).name
            path.write_text(data, encoding="utf-8")
            self.artifact(path, None if Path(name).parent == Path() else Path(name).parent.as_posix())

    def json(self, name: str, data: Any) -> None:
        """Keep plain data as the artifact `name`, indented JSON."""
        self.text(name, json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def dataset(
        self,
        name: str,
        digest: str,
        source: str,
        *,
        words: Sequence[str],
        synthetic: bool,
        clips: Mapping[str, int] | None = None,
        context: str = "training",
    ) -> None:
        """Log the data set, for MLflow's column "Dataset" and, as tags `data.*`, for the table of `compare`.

        `clips` counts the clips of each split.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = {"words": list(words), "clips": dict(clips or {}), "synthetic voices": synthetic}
        entry = Dataset(
            name=name,
            digest=digest[:DIGEST_LIMIT],
            source_type="local",
            source=json.dumps({"uri": source}),
            schema=json.dumps({"words": list(words)}),
            profile=json.dumps(profile | {"num_rows": sum((clips or {}).values())}),
        )
        with plainly(self._store.label):
            self._store.client.log_inputs(self.id, [DatasetInput(entry, [InputTag("mlflow.data.context", context)])])
        self.tags(
            {
                "data.name": name,
                "data.digest": digest,
                "data.words": " ".join(words),
                "data.synthetic": "true" if synthetic else "false",
            }
        )

    def forget_end(self) -> None:
        """Drop the tags of an earlier end, when the run is resumed."""
        with plainly(self._store.label):
            tags = self._store.client.get_run(self.id).data.tags
            for tag in ("failure", "interrupted"):
                if tag in tags:
                    self._store.client.delete_tag(self.id, tag)

    def _log(self, **batch: Any) -> None:
        with plainly(self._store.label):
            self._store.client.log_batch(self.id, **batch)


def note(description: str, params: Mapping[str, str], synthetic: bool) -> str:
    """The markdown that MLflow's UI shows at the top of a run, for someone who knows nothing about it."""
    facts = " · ".join(f"{key.split('.')[-1]} **{params[key]}**" for key in NOTED_PARAMS if key in params)
    loud = f"**{SYNTHETIC_WARNING.capitalize()}.**" if synthetic else ""
    return "\n\n".join(part for part in (loud, description.strip(), facts) if part)


def local_folder(artifact_uri: str) -> Path | None:
    """The run's artifacts folder if it lies on this machine, else None."""
    if artifact_uri.startswith("file:"):
        return Path(unquote(urlsplit(artifact_uri).path))
    return Path(artifact_uri) if artifact_uri.startswith("/") else None


def _copy_whole(source: Path, target: Path) -> None:
    """Copy so that a full disk leaves the earlier artifact of that name as it was, never half a new one."""
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"cannot write {target}: {error.strerror or error}", ENVIRONMENT) from error


def _ending(error: BaseException | None) -> tuple[str, dict[str, str]]:
    if error is None:
        return "FINISHED", {}
    if isinstance(error, KeyboardInterrupt):
        return "KILLED", {"interrupted": "SIGTERM" if isinstance(error, Terminated) else "Ctrl-C"}
    text = str(error).strip() or type(error).__name__
    return "FAILED", {"failure": text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
