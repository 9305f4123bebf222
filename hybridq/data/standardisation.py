"""What is done to each number of an input before a network reads it: a shift and a scale, fitted to training data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.settings import NormaliseKind
from hybridq.data.task import Floats
from hybridq.errors import UserError

SMALLEST_DEVIATION = 1e-6  # of a channel that never changes


@dataclass(frozen=True)
class Standardisation:
    """A mean and a deviation for each channel, the last axis of an input; or one for all of them."""

    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)

    @classmethod
    def of(cls, numbers: Mapping[str, Iterable[float]]) -> Standardisation:
        """From a `mean` and a `deviation` in a file; {}: none. Raises ValueError or TypeError for what cannot be."""
        made = cls(**{name: tuple(map(float, one)) for name, one in numbers.items()})
        if not len(made.mean) == len(made.deviation) > 0 or not all(0 < one < inf for one in made.deviation):
            raise ValueError("not as many means as deviations above 0")
        return made

    @classmethod
    def fit(cls, kind: NormaliseKind, chunks: Iterable[NDArray[Any]]) -> Standardisation:
        """From training inputs, some (n, *shape) after the other."""
        if kind in ("none", "unit"):
            return cls(deviation=(255.0 if kind == "unit" else 1.0,))
        count = 0
        total: NDArray[np.float64] = np.zeros(1)
        squares: NDArray[np.float64] = np.zeros(1)
        for chunk in chunks:
            values = np.asarray(chunk, np.float64)
            values = values.reshape(-1, values.shape[-1] if kind == "per_channel" and values.ndim > 1 else 1)
            count, total, squares = count + len(values), total + values.sum(0), squares + (values**2).sum(0)
        mean = total / count
        deviation = np.maximum(np.sqrt(np.maximum(squares / count - mean**2, 0)), SMALLEST_DEVIATION)
        return cls(tuple(np.atleast_1d(mean).tolist()), tuple(np.atleast_1d(deviation).tolist()))

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return self != AS_THEY_ARE

    def apply(self, values: NDArray[Any]) -> Floats:
        """What a network reads of inputs (n, *shape). Raises UserError for inputs of other channels."""
        numbers: Floats = np.asarray(values, np.float32)
        if not self.changes:
            return numbers
        if len(self.mean) not in (1, numbers.shape[-1]):
            raise UserError(f"inputs of {numbers.shape[-1]} channels; they were standardised as {len(self.mean)}")
        mean, deviation = np.asarray(self.mean, np.float32), np.asarray(self.deviation, np.float32)
        standard: Floats = np.divide(numbers - mean, deviation, dtype=np.float32)
        return standard


AS_THEY_ARE = Standardisation()  # numbers that are left alone
