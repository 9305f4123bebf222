"""The state of every job of a sweep, and which of them may start."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum

from hybridq.errors import BAD_INPUT, RUN_FAILED
from hybridq.sweeps.events import Died, EpochDone, Event, Failed, Finished, Progress, Ready
from hybridq.sweeps.planning import Job, Plan

MOST_DEATHS = 3  # of the process that runs a job, without an epoch in between


class State(Enum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass
class Entry:
    """One job and what is known of it; times in seconds of `time.monotonic`, accuracies, or R2, in percent."""

    job: Job
    state: State = State.WAITING
    epoch: float = 0.0  # epochs done, the present one in part
    first: float = 0.0  # of these, in earlier sittings
    validation: str = ""  # of the last epoch, as a person reads it
    accuracy: float | None = None
    run: str | None = None
    reason: str = ""
    status: int = RUN_FAILED
    deaths: int = 0  # of processes, since the last epoch
    died: bool = False
    began: float | None = None  # when training began, in this sitting
    ended: float | None = None

    @property
    def epochs(self) -> int:
        """For how many the recipe asks."""
        return self.job.recipe.training.epochs

    @property
    def seconds_left(self) -> float | None:
        """By the pace of its epochs so far; None before there is one."""
        if self.state is not State.RUNNING or self.began is None or self.epoch <= self.first:
            return None
        return (time.monotonic() - self.began) / (self.epoch - self.first) * (self.epochs - self.epoch)


@dataclass
class Schedule:
    """All jobs of a plan. An engine takes jobs, and passes on what happens to them.

    `stop` is set where going on makes no sense: the disk or the store failed, and the next job would fail alike.
    """

    plan: Plan
    entries: list[Entry] = field(init=False)
    done: dict[str, str] = field(default_factory=dict)  # fingerprint -> run id
    stop: Failed | None = None

    def __post_init__(self) -> None:
        self.entries = [Entry(job) for job in self.plan.jobs]

    @property
    def over(self) -> bool:
        """Whether nothing is running, and nothing more may start."""
        waiting = any(entry.state is State.WAITING for entry in self.entries) and not self.stop
        return not waiting and not any(entry.state is State.RUNNING for entry in self.entries)

    def take(self) -> Job | None:
        """A job that may start, now running; None where there is none at the moment."""
        if self.stop:
            return None
        for entry in self.entries:
            if entry.state is State.WAITING and all(
                self.entries[other].state is State.FINISHED for other in entry.job.after
            ):
                entry.state = State.RUNNING
                return entry.job
        return None

    def hear(self, event: Event) -> None:
        """Note what happened."""
        entry = self.entries[event.job]
        match event:
            case Ready(done=done):
                entry.began, entry.epoch, entry.first = time.monotonic(), done, done
            case Progress(epoch=epoch, share=share):
                entry.epoch = epoch - 1 + share
            case EpochDone(epoch=epoch):
                entry.epoch, entry.validation, entry.deaths = epoch, event.figures[1], 0
            case Finished(run=run, accuracy=accuracy, runs=runs):
                entry.state, entry.run, entry.accuracy = State.FINISHED, run, accuracy
                entry.epoch, entry.ended = entry.epochs, time.monotonic()
                self.done |= runs
            case Failed(reason=reason, status=status):
                self._fail(entry, reason)
                entry.status = status
                if status not in (RUN_FAILED, BAD_INPUT):
                    self.stop = event
            case Died(reason=reason):
                entry.died, entry.deaths = True, entry.deaths + 1
                if entry.deaths >= MOST_DEATHS:
                    self._fail(entry, reason)
                else:
                    entry.state = State.WAITING

    @property
    def failed(self) -> dict[str, str]:
        """The reason of each run that failed, by name."""
        return {entry.job.name: entry.reason for entry in self.entries if entry.state is State.FAILED}

    @property
    def finished(self) -> list[str]:
        """The ids of the finished runs, each once, in the order of the plan."""
        return list(dict.fromkeys(entry.run for entry in self.entries if entry.run))

    def _fail(self, entry: Entry, reason: str) -> None:
        entry.state, entry.reason, entry.ended = State.FAILED, reason, time.monotonic()
        for other in self.entries:
            if entry.job.number in other.job.after and other.state is State.WAITING:
                self._fail(other, f"it needs {entry.job.name}, which failed")
