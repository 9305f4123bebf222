"""What happens to a job, as plain data: said by whoever runs it, heard by the schedule and the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Event:
    """Something about the job of that number."""

    last: ClassVar[bool] = False  # whether nothing more comes of this job
    job: int


@dataclass(frozen=True)
class Ready(Event):
    """Its data are there and training begins; `done` epochs were trained in an earlier sitting."""

    data: str  # one line on the data
    synthetic: bool
    done: int


@dataclass(frozen=True)
class Progress(Event):
    """Within an epoch (from 1): the share of it that is done (0 to 1)."""

    epoch: int
    share: float


@dataclass(frozen=True)
class EpochDone(Event):
    """After an epoch (from 1): accuracies in percent, None where there are no classes; and the losses."""

    epoch: int
    training_accuracy: float | None
    validation_accuracy: float | None
    training_loss: float
    validation_loss: float

    @property
    def figures(self) -> tuple[str, str]:
        """What a person is told of training and validation: "91.2 %", or a loss."""
        if self.training_accuracy is None or self.validation_accuracy is None:
            return f"loss {self.training_loss:.4g}", f"loss {self.validation_loss:.4g}"
        return f"{self.training_accuracy:.1f} %", f"{self.validation_accuracy:.1f} %"


@dataclass(frozen=True)
class LogLine(Event):
    """A line that a person should see."""

    text: str
    level: int  # of `logging`


@dataclass(frozen=True)
class Finished(Event):
    """The run is in the store. `runs` are those known now, by fingerprint: this one and what it needed."""

    last = True
    run: str
    accuracy: float | None  # on the test data, or R2: percent; None where they were not looked at
    runs: dict[str, str]
    in_words: str = ""  # that figure, as a person reads it


@dataclass(frozen=True)
class Failed(Event):
    """The run failed and is marked so in the store; `status` is the exit status that a command would have."""

    last = True
    reason: str
    status: int


@dataclass(frozen=True)
class Died(Event):
    """The process that ran it is gone: killed, or crashed."""

    last = True
    reason: str
