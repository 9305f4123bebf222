"""A small model for pictures, with inputs and a plan for it: what the tests of the Python interface share."""

from __future__ import annotations

from typing import Any

import numpy as np

PLAN = {"conv": "8-bit", "dense": "binary", "last": "8-bit", "*": {"outputs": "8-bit"}}


def picture_model() -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(8, activation="relu", name="dense"),
            layers.Dense(3, activation="softmax", name="last"),
        ]
    )


def pictures() -> Any:
    return np.random.default_rng(0).random((40, 8, 8, 1))
