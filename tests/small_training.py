"""A small network and somebody who watches its training, for the tests that train one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conftest import write_tones

from hybridq.precision import PrecisionPlan
from hybridq.quantization.model import quantize


def two_words(root: Path) -> Any:
    """What the fixture `data` gives, in a folder of one's own."""
    from hybridq.speech.audio import open_folder
    from hybridq.speech.dataset import Dataset
    from hybridq.speech.mfcc import FrontEnd

    return Dataset(open_folder(write_tones(root / "clips"), root / "cache"), ("yes", "no"), FrontEnd(), root / "cache")


class Notes:
    """Remembers what it is told, and can interrupt after an epoch."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.rows: list[Any] = []
        self.shares: list[float] = []

    def begin(self, epochs: int) -> None:
        pass

    def batch(self, epoch: int, share: float) -> None:
        self.shares.append(epoch - 1 + share)

    def epoch(self, row: Any) -> None:
        self.rows.append(row)
        if row.epoch == self.stop_after:
            raise KeyboardInterrupt


def small_network(plan: Mapping[str, Any], seed: int = 0) -> Any:
    """For two words, quantized by a plan: the reference network's kinds of layer and their names, two of each.

    TensorFlow traces a network's layers for every training; the reference network's thirteen take seconds.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input((38, 55, 1), name="mfcc")
    x = layers.Conv2D(2, 3, strides=2, activation="elu", name="conv2d")(x)
    x = layers.MaxPooling2D(2, name="max_pooling2d")(x)
    x = layers.BatchNormalization(name="batch_normalization")(layers.Conv2D(4, 3, name="conv2d_1")(x))
    x = layers.Activation("elu", name="conv2d_1_activation")(x)
    x = layers.Dropout(0.2, name="dropout")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(8, activation="elu", name="dense")(x)
    x = layers.BatchNormalization(name="batch_normalization_1")(x)
    x = layers.Dense(2, activation="softmax", name="dense_1")(x)
    return quantize(keras.Model(inputs, x), PrecisionPlan.from_data(plan))
