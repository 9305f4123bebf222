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
from hybridq.data.task import CLIPS, TrainingData, classes_in_words, counts
from hybridq.errors import ENVIRONMENT, RUN_FAILED, UserError, first_line, plain_os_error
from hybridq.sweeps.events import EpochDone, Event, Failed, Finished, LogLine, Progress, Ready

if TYPE_CHECKING:
    from hybridq.recipe.schema import Recipe
    from hybridq.tracking import RunView, Store
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
        score, in_words = _score_of(store.find(run))
        tell(Finished(task.job, run, score, laboratory.done, in_words))
    except UserError as error:
        tell(Failed(task.job, str(error), error.exit_code))
    except OSError as error:  # a disk, or a file that was there: for the next run it is no better
        tell(Failed(task.job, plain_os_error(error), ENVIRONMENT))
    except Exception as error:
        logging.getLogger("hybridq").debug("unexpected", exc_info=error)
        tell(Failed(task.job, f"unexpected {type(error).__name__}: {first_line(error)}", RUN_FAILED))


def _score_of(view: RunView) -> tuple[float | None, str]:
    """What a run scores on its test data (percent), and that as a person reads it; None and "" where it was no test."""
    from hybridq.tracking.metrics import SCORES, first_of
    from hybridq.tracking.run_view import UNIT

    score = first_of(SCORES["test"], view.metrics)
    if score is None:
        return None, ""
    is_accuracy = SCORES["test"][0] in view.metrics
    accuracy = f"{score:.1f} % of the test {view.tags.get(UNIT, CLIPS)}"
    return score, accuracy if is_accuracy else f"test R2 {score:.1f} %"


class _Telling:
    """A watcher of a training that passes on what it sees."""

    def __init__(self, job: int, tell: Tell, recipe: Recipe, data: TrainingData) -> None:
        self.job, self.tell, self.last = job, tell, 0.0
        sizes = ", ".join(f"{count} {split}" for split, count in counts(data).items())
        self.synthetic = data.synthetic
        of_what = classes_in_words(data.labels, data.unit)
        about = f", {of_what}" if of_what else ""
        self.text = f"{recipe.name} (seed {recipe.training.seed}): {data.name}{about}; {sizes} {data.unit}"

    def begin(self, epochs: Sequence[Epoch]) -> None:
        self.tell(Ready(self.job, self.text, self.synthetic, len(epochs)))

    def batch(self, epoch: int, share: float) -> None:
        now = time.monotonic()
        if now - self.last > PAUSE_SECONDS:
            self.last = now
            self.tell(Progress(self.job, epoch, share))

    def epoch(self, epoch: Epoch) -> None:
        accuracies = epoch.training_accuracy, epoch.validation_accuracy
        self.tell(EpochDone(self.job, epoch.epoch, *accuracies, epoch.training_loss, epoch.validation_loss))


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
