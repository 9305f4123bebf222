"""One run being logged. Everything goes to the store at once, so a crash loses nothing logged before it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from hybridq.data.task import SYNTHETIC_WARNING
from hybridq.errors import ENVIRONMENT, NotWritable, UserError
from hybridq.paths import scratch
from hybridq.tracking.connection import INTERRUPTS
from hybridq.tracking.metrics import mlflow_name
from hybridq.tracking.owner import owner_tags
from hybridq.tracking.run_view import CLASSES, UNIT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hybridq.tracking.connection import Connection

DESCRIPTION = "description"
PARAM_LIMIT, TAG_LIMIT, DIGEST_LIMIT = 6000, 8000, 36  # characters, MLflow's
PARAMS_AT_ONCE, METRICS_AT_ONCE = 100, 1000  # per log_batch, MLflow's
ENDINGS = INTERRUPTS[1:]  # but Ctrl-C; SIGHUP: the terminal was closed
LAST_WORD_SECONDS = 2.0  # to say how a run ended, when there is no time to lose
NOTED_PARAMS = (
    "data.source",
    "data.arrays",
    "data.images",
    "data.python",
    "training.seed",
    "training.epochs",
    "target",
)


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by a signal of ENDINGS whose name it has; unwinds like Ctrl-C."""


class Run:
    """A run being logged, a context manager.

    It ends as FINISHED, after everything else of it is in the store; as FAILED (tag `failure` says why); or, on
    Ctrl-C, SIGTERM and SIGHUP, KILLED (`interrupted`). Every request waits for a store that is away (see
    `hybridq.tracking.retry`), and sent twice comes to the same: a metric keeps its time, a tag and a file are replaced
    by themselves.
    """

    def __init__(self, connection: Connection, run_id: str, name: str, artifact_uri: str) -> None:
        self.id = run_id
        self.name = name
        self._connection = connection
        self._folder = local_folder(artifact_uri)
        self._logged: set[tuple[str, int, float | None]] = set()  # before a resume: key, step and value
        self._handled: list[signal.Signals] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handled = [one for one in ENDINGS if signal.getsignal(one) is signal.SIG_DFL]  # else: nohup, say
            for one in self._handled:
                signal.signal(one, _terminate)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._handled:
            signal.signal(one, signal.SIG_DFL)
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """End the run; if the store fails too, the error that ended the run matters more."""
        status, tags = _ending(error)
        wait = LAST_WORD_SECONDS if _pressing(error) else None
        try:
            if tags:
                self.tags(tags, wait)
            self._connection.ask(lambda client: client.set_terminated(self.id, status), wait)
        except UserError:
            if error is None:
                raise

    def params(self, values: Mapping[str, str]) -> None:
        """Log parameters; a value longer than MLflow holds is cut and ends in an ellipsis."""
        from mlflow.entities import Param

        params = [Param(key, cut(str(value), PARAM_LIMIT)) for key, value in values.items()]
        for at in range(0, len(params), PARAMS_AT_ONCE):
            self._log(params=params[at : at + PARAMS_AT_ONCE])

    def tags(self, values: Mapping[str, str], wait: float | None = None) -> None:
        """Set tags; a later value replaces an earlier one. `wait` is for how many seconds the store may be away."""
        from mlflow.entities import RunTag

        tags = [RunTag(key, cut(str(value), TAG_LIMIT)) for key, value in values.items()]
        for at in range(0, len(tags), PARAMS_AT_ONCE):
            self._log(tags=tags[at : at + PARAMS_AT_ONCE], wait=wait)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics under hybridq's names (see `hybridq.tracking.metrics`); `step` is the epoch.

        What a resumed run computes again, an epoch that was logged before its checkpoint was written, is not doubled.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(mlflow_name(key), float(value), now, step or 0) for key, value in values.items()]
        metrics = [point for point in points if _point(point) not in self._logged]
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
            self._connection.ask(lambda client: client.log_artifact(self.id, str(path), folder))
            return
        _copy_whole(path, self._folder / (folder or "") / path.name)

    def figure(self, fig: Figure, name: str) -> None:
        """Keep a picture as `pictures/<name>.png`."""
        with scratch() as folder:
            path = folder / f"{name}.png"
            fig.savefig(path)
            self.artifact(path, "pictures")

    def text(self, name: str, data: str) -> None:
        """Keep a text as the artifact `name`, which may have folders in it."""
        with scratch() as folder:
            path = folder / Path(name).name
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
        unit: str = "clips",
        context: str = "training",
    ) -> None:
        """Log the data set, for MLflow's column "Dataset" and, as tags `data.*`, for the table of `compare`.

        `words` are the classes, `clips` counts the examples of each split, `unit` is what an example is called.
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
        inputs = [DatasetInput(entry, [InputTag("mlflow.data.context", context)])]
        self._connection.ask(lambda client: client.log_inputs(self.id, inputs))
        self.tags(
            {
                "data.name": name,
                "data.digest": digest,
                "data.words": (" " if unit == "clips" else CLASSES).join(words),
                **({} if unit == "clips" else {UNIT: unit}),
                "data.synthetic": "true" if synthetic else "false",
            }
        )

    def take_over(self) -> None:
        """Make a run that ended, or whose process did, one of this process: it counts as running again."""
        self.tags(owner_tags())
        self._connection.ask(self._reopen)

    def _reopen(self, client: Any) -> None:
        data = client.get_run(self.id).data
        for tag in {"failure", "interrupted"} & set(data.tags):
            client.delete_tag(self.id, tag)
        for key in data.metrics:
            self._logged |= {_point(point) for point in client.get_metric_history(self.id, key)}
        client.update_run(self.id, status="RUNNING")

    def _log(self, wait: float | None = None, **batch: Any) -> None:
        self._connection.ask(lambda client: client.log_batch(self.id, **batch), wait)


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
        raise NotWritable(target, error) from error


def _ending(error: BaseException | None) -> tuple[str, dict[str, str]]:
    if error is None:
        return "FINISHED", {}
    if isinstance(error, KeyboardInterrupt):
        return "KILLED", {"interrupted": str(error) if isinstance(error, Terminated) else "Ctrl-C"}
    text = str(error).strip() or type(error).__name__
    return "FAILED", {"failure": text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"}


def _pressing(error: BaseException | None) -> bool:
    """Whether the run ends because the user wants it, or the store is out of reach: no time for another long wait."""
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, UserError) and error.exit_code == ENVIRONMENT)


def _point(metric: Any) -> tuple[str, int, float | None]:
    """What makes a metric's point, as a key; NaN is None, since it does not equal itself."""
    return metric.key, metric.step, None if metric.value != metric.value else metric.value


def cut(text: str, limit: int) -> str:
    """The text, or as much of it as fits into so many characters with an ellipsis behind it."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(signal.Signals(number).name)
