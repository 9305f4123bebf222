"""Standardised features: what a network hears has mean 0 and deviation 1 over the training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridq.data.task import Floats
from hybridq.speech.settings import NormalisationKind

SMALLEST_DEVIATION = 1e-6  # of a coefficient that never changes


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the training set, one pair a coefficient; they travel with the model."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, features: Floats, per: NormalisationKind = "per_coefficient") -> Normalisation:
        """From features (clips, coefficients, frames): each coefficient by itself, or all alike (`global`)."""
        over = None if per == "global" else (0, 2)
        mean, deviation = features.mean(over, dtype=np.float64), features.std(over, dtype=np.float64)
        each = np.ones(features.shape[1])
        deviations = np.maximum(deviation * each, SMALLEST_DEVIATION)
        return cls(tuple((mean * each).tolist()), tuple(deviations.tolist()))

    def rescaled(self, scale: float, offset: float) -> Normalisation:
        """This, and then each number times a scale above 0, plus an offset, as one."""
        mean = (m - offset * d / scale for m, d in zip(self.mean, self.deviation, strict=True))
        return Normalisation(tuple(mean), tuple(d / scale for d in self.deviation))

    def apply(self, features: Floats) -> Floats:
        """Standardised features of the same shape, (clips, coefficients, frames)."""
        shift = np.asarray(self.mean, np.float32)[:, None]
        scale = np.asarray(self.deviation, np.float32)[:, None]
        standard: Floats = np.divide(features - shift, scale, dtype=np.float32)
        return standard
