"""What a training reaches from epoch to epoch, who is told of it, and who may end it early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Epoch:
    """What one epoch reached; accuracies in percent, sparsity as the share of weights that are pruned.

    Accuracies are None where there are no classes to be right about: then the loss is what counts.
    """

    epoch: int
    training_accuracy: float | None
    training_loss: float
    validation_accuracy: float | None
    validation_loss: float
    learning_rate: float
    sparsity: float = 0.0


@dataclass
class History:
    """The epochs done, and the minutes that they took over all sittings."""

    epochs: list[Epoch] = field(default_factory=list)
    minutes: float = 0.0

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept: the highest validation accuracy, the lower loss between equals.

        Without accuracies the lowest validation loss. Where weights are pruned, one of those with the fewest.
        """
        return max(self.epochs, key=lambda e: (e.sparsity, e.validation_accuracy or 0.0, -e.validation_loss))


class Watcher(Protocol):
    """Is told how training goes: the progress bar, the tracking store."""

    def begin(self, epochs: Sequence[Epoch]) -> None:
        """Training begins; `epochs` are those of earlier sittings."""
        ...

    def batch(self, epoch: int, share: float) -> None:
        """A step is done; `share` of the epoch so far (0 to 1)."""
        ...

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is done, and its checkpoint written."""
        ...


class EarlyStopper(Protocol):
    """May end a training before its time, by how it compares with others: for a search that stops the worst of many."""

    @property
    def key(self) -> str:
        """What decides its answers: a run that it may end equals runs under the same key alone."""
        ...

    def should_stop(self, epochs: Sequence[Epoch], latest: Callable[[], float]) -> bool:
        """Whether the training ends here; asked once after each epoch, and when a run goes on.

        `latest` measures the weights of the last step on the validation examples, in percent: in the first epochs their
        moving average, which `epochs` tell of, is behind them.
        """
        ...
