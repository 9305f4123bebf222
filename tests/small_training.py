"""A small network and somebody who watches its training, for the tests that train one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hybridq.models import build_model
from hybridq.models.config import ReferenceConfig
from hybridq.precision import PrecisionPlan
from hybridq.quantize import quantize


class Notes:
    """Remembers what it is told, and can interrupt after an epoch."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.rows: list[Any] = []
        self.shares: list[float] = []

    def begin(self, epochs: int) -> None:
        pass

    def batch(self, epoch: int, share: float, accuracy: float) -> None:
        self.shares.append(epoch - 1 + share)

    def epoch(self, row: Any) -> None:
        self.rows.append(row)
        if row.epoch == self.stop_after:
            raise KeyboardInterrupt


def small_network(plan: Mapping[str, Any], seed: int = 0) -> Any:
    """The reference network with a few filters, for two words, quantized by a plan."""
    import keras

    keras.utils.set_random_seed(seed)
    model = build_model(ReferenceConfig(filters=[2, 2, 4, 4, 4, 4], dense=[8, 8]), (38, 55), 2)
    return quantize(model, PrecisionPlan.from_data(plan))
