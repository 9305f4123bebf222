"""Who makes the runs: this process, or several processes on this machine. `ray.py` has a third way, for many machines.

An engine is a function that takes jobs from the schedule until it is over. Each makes the same runs: what decides a
result is in the recipe and the data, and the number of TensorFlow's threads, which is the same in all of them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from hybridq.backend.startup import sealed
from hybridq.sweeps.events import Died, Event
from hybridq.sweeps.planning import Job
from hybridq.sweeps.schedule import Schedule
from hybridq.sweeps.worker import Task, perform

if TYPE_CHECKING:
    from hybridq.tracking import Store
    from hybridq.training.history import EarlyStopper

GRACE_SECONDS = 60.0  # for a worker that is asked to end: it writes its best network to the store


@dataclass(frozen=True)
class Crew:
    """What every engine needs: where runs are kept, the sweep that they belong to, and who hears what happens."""

    store: Store
    sweep: str | None
    resume: bool
    tell: Callable[[Event], None]
    reproduces: str | None = None  # id of the run that is made again
    trial: bool = False  # whether what was asked for is measured on the validation clips alone

    def task(self, job: Job, schedule: Schedule) -> Task:
        """A job as plain data."""
        where = str(self.store.root) if self.store.root else None
        resume = self.resume or schedule.entries[job.number].died or not job.asked
        return Task(
            job.number,
            job.recipe.resolved(),
            where,
            self.sweep,
            resume,
            dict(schedule.done),
            self.reproduces if job.asked else None,
            self.trial and job.asked,
        )


Engine = Callable[[Schedule, Crew], None]


def in_process(schedule: Schedule, crew: Crew, stopper: EarlyStopper | None = None) -> None:
    """One run after the other, in this process; a `stopper` may end trials early."""

    def tell(event: Event) -> None:
        schedule.hear(event)
        crew.tell(event)

    while job := schedule.take():
        perform(crew.task(job, schedule), job.recipe, crew.store, tell, stopper)


def in_processes(count: int) -> Engine:
    """An engine of `count` worker processes on this machine.

    A run whose process dies goes on, from its last epoch, in another process; where that happens again and again it
    is marked as failed.
    """

    def engine(schedule: Schedule, crew: Crew) -> None:
        workers: list[_Worker] = []
        try:
            while not schedule.over:
                idle = [worker for worker in workers if worker.task is None]
                while (idle or len(workers) < count) and (job := schedule.take()):
                    worker = idle.pop() if idle else _Worker()
                    if worker not in workers:
                        workers.append(worker)
                    worker.give(crew.task(job, schedule))
                for pipe in wait([worker.pipe for worker in workers if worker.task], timeout=1.0):
                    worker = next(worker for worker in workers if worker.pipe is pipe)
                    event = worker.hear()
                    if isinstance(event, Died):
                        workers.remove(worker)
                    schedule.hear(event)
                    crew.tell(event)
        finally:
            for worker in workers:
                worker.ask_to_end()
            for worker in workers:
                worker.end()

    return engine


class _Worker:
    """A process that makes one run at a time; started when it is first needed."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `end`)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hybridq.sweeps.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=sealed(),
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the workers in good order
            )
        self.pipe = Connection(ours.detach())
        self.task: Task | None = None
        self._said = ""  # its last line, once it has ended

    def give(self, task: Task) -> None:
        self.task = task
        with suppress(OSError):  # it may have died while it had nothing to do: reading from it will tell
            self.pipe.send(task)

    def hear(self) -> Event:
        """The next event; `Died` where the process is gone."""
        assert self.task
        try:
            event: Event = self.pipe.recv()
        except (EOFError, OSError):
            return Died(self.task.job, self._why())
        if event.last:
            self.task = None
        return event

    def _why(self) -> str:
        """Why the process is gone: the signal that killed it, or its last word."""
        self.end()
        code = self.process.returncode
        if code < 0:
            name = signal.Signals(-code).name
            hint = ": out of memory, perhaps" if name == "SIGKILL" else ""
            return f"its process was killed by {name}{hint}"
        return f"its process ended with status {code}{self._said}"

    def ask_to_end(self) -> None:
        if self.task and self.process.poll() is None:
            self.process.terminate()
        self.pipe.close()

    def end(self) -> None:
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if not self._errors.closed:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
            self._said = f": {lines[-1][:200]}" if lines else ""
            self._errors.close()
