"""One job, in whatever process; and the process that takes jobs from a pipe.

A worker process ends with the process that started it, however that one ends.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.backend.startup import spare_imports
from hybridq.errors import ENVIRONMENT, RUN_FAILED, UserError, plain_os_error
from hybridq.sweeps.events import EpochDone, Event, Failed, Finished, LogLine, Progress, Ready

if TYPE_CHECKING:
    from hybridq.recipe.schema import Recipe
    from hybridq.speech.dataset import Dataset
    from hybridq.tracking import Store
    from hybridq.training.history import EarlyStopper, Epoch

PAUSE_SECONDS = 0.25  # between two words on the progress within an epoch
Tell = Callable[[Event], None]


@dataclass(frozen=True)
class Task:
    """All that another process needs to know of a job."""

    job: int
    recipe: dict[str, Any]  # resolved
    store: str | None  # the folder of the store; None: at `MLFLOW_TRACKING_URI`, which may hold a password
    sweep: str | None  # id of the parent run
    resume: bool
    done: dict[str, str] = field(default_factory=dict)  # fingerprint -> run id
    reproduces: str | None = None
    trial: bool = False  # measured on the validation clips alone


def perform(task: Task, recipe: Recipe, store: Store, tell: Tell, stopper: EarlyStopper | None = None) -> None:
    """Make the run, and tell what happens; every fault of the run itself is told as `Failed`, not raised.

    A `stopper` may end a trial early.
    """
    from hybridq.runs.run_recipe import Laboratory

    laboratory = Laboratory(
        store,
        lambda recipe, data: _Telling(task.job, tell, recipe, data),
        sweep=task.sweep,
        resume=task.resume,
        done=dict(task.done),
        reproduces=task.reproduces,
        trial=task.trial,
        stopper=stopper if task.trial else None,
    )
    try:
        run = laboratory.run(recipe)
        tell(Finished(task.job, run, store.find(run).metrics.get("test accuracy %"), laboratory.done))
    except UserError as error:
        tell(Failed(task.job, str(error), error.exit_code))
    except OSError as error:  # a disk, or a file that was there: for the next run it is no better
        tell(Failed(task.job, plain_os_error(error), ENVIRONMENT))
    except Exception as error:
        logging.getLogger("hybridq").debug("unexpected", exc_info=error)
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        tell(Failed(task.job, f"unexpected {type(error).__name__}: {text}", RUN_FAILED))


class _Telling:
    """A watcher of a training that passes on what it sees."""

    def __init__(self, job: int, tell: Tell, recipe: Recipe, data: Dataset) -> None:
        self.job, self.tell, self.last = job, tell, 0.0
        counts = [len(data.split(split)) for split in ("training", "validation", "test")]
        self.synthetic = data.audio.synthetic
        self.text = (
            f"{recipe.name} (seed {recipe.training.seed}): {data.audio.name}, {len(data.labels)} words "
            f"({' '.join(data.labels)}); {counts[0]} training, {counts[1]} validation, {counts[2]} test clips"
        )

    def begin(self, epochs: Sequence[Epoch]) -> None:
        self.tell(Ready(self.job, self.text, self.synthetic, len(epochs)))

    def batch(self, epoch: int, share: float, accuracy: float) -> None:
        now = time.monotonic()
        if now - self.last > PAUSE_SECONDS:
            self.last = now
            self.tell(Progress(self.job, epoch, share, accuracy))

    def epoch(self, epoch: Epoch) -> None:
        self.tell(EpochDone(self.job, epoch.epoch, epoch.training_accuracy, epoch.validation_accuracy))


class _Forwarding(logging.Handler):
    """Passes lines for a person on to the process that has the terminal."""

    def __init__(self, job: int, tell: Tell) -> None:
        super().__init__()
        self.job, self.tell = job, tell

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(LogLine(self.job, record.getMessage(), record.levelno))


def work(task: Task, tell: Tell) -> None:
    """Make the run of a task in a process that has nothing but the task; the lines of the program are told too."""
    from hybridq.recipe.file import recipe_of
    from hybridq.tracking import open_store

    logger = logging.getLogger("hybridq")
    logger.handlers, logger.propagate = [_Forwarding(task.job, tell)], False
    logger.setLevel(logging.INFO)
    try:
        if task.store is None and not os.environ.get("MLFLOW_TRACKING_URI"):
            raise UserError(f"MLFLOW_TRACKING_URI is not set on {socket.gethostname()}, which makes a run", ENVIRONMENT)
        perform(task, recipe_of(task.recipe), open_store(Path(task.store or "mlruns"), wait=True), tell)
    except UserError as error:
        tell(Failed(task.job, str(error), error.exit_code))


def main(descriptor: int) -> None:
    """Take tasks from the pipe until it is closed, and tell what happens through it."""
    pipe = Connection(descriptor)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def tell(event: Event) -> None:
        try:
            pipe.send(event)
        except OSError:  # nobody listens any more
            raise KeyboardInterrupt from None

    with suppress(EOFError):
        while True:
            work(pipe.recv(), tell)


def _end_with(parent: int) -> None:
    """Ask this process to end, as SIGTERM does, when its parent has."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    spare_imports()
    try:
        main(int(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
