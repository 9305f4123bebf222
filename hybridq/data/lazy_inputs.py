"""Inputs of validation and test, which may be more than the memory holds: read in parts, when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.standardisation import Standardisation
from hybridq.data.task import Floats, Inputs, Truth

MOST_BYTES = 2**28  # of inputs as float32, to be held in memory


@dataclass(frozen=True)
class Split:
    """Some examples of an array: inputs[places], with the truth of each."""

    inputs: NDArray[Any]
    places: NDArray[np.int64]
    truth: Truth

    def __len__(self) -> int:
        return len(self.places)

    def chosen(self, which: Any) -> NDArray[Any]:
        """The inputs of some of its examples, by a slice or their numbers."""
        inside: NDArray[Any] = self.inputs[self.places[which]]
        return inside


def read_later(split: Split, standardisation: Standardisation) -> Inputs:
    """The inputs of a split, standardised; read at once where they are few."""
    inputs = SplitInputs(split, standardisation)
    size = len(split) * prod(split.inputs.shape[1:]) * np.dtype(np.float32).itemsize
    return inputs[:] if size <= MOST_BYTES else inputs


def joined(parts: Sequence[Inputs]) -> Inputs:
    """Some inputs after the other; in memory where all are."""
    inputs = JoinedInputs(parts)
    return inputs[:] if all(isinstance(part, np.ndarray) for part in parts) else inputs


@dataclass(frozen=True)
class SplitInputs:
    """The inputs of a split, standardised, read from their array when they are asked for."""

    split: Split
    standardisation: Standardisation

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, which: slice, /) -> Floats:
        return self.standardisation.apply(self.split.chosen(which))


@dataclass(frozen=True)
class JoinedInputs:
    """The inputs of several splits, one after the other."""

    parts: Sequence[Inputs]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, which: slice, /) -> Floats:
        first, stop, _ = which.indices(len(self))
        found = []
        for part in self.parts:
            if first < len(part) and stop > 0:
                found.append(part[max(first, 0) : stop])
            first, stop = first - len(part), stop - len(part)
        return found[0] if len(found) == 1 else np.concatenate(found)
