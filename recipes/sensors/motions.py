"""Made-up windows of an accelerometer, four motions of a wrist; and a network for them. Synthetic: no result."""

import keras
import numpy as np
from keras import layers

MOTIONS = ("still", "walking", "waving", "turning")
PEOPLE, WINDOWS = 30, 20  # windows of each motion that each of them makes
SAMPLES, RATE = 128, 50.0  # of a window; per second


def data():
    """Windows (2400, 128, 3) in g, which motion each is, and who made it: nobody is in two splits."""
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLES) / RATE
    x, y, people = [], [], []
    for person in range(PEOPLE):
        pace, strength, tilt = rng.uniform(1.4, 2.2), rng.uniform(0.6, 1.4), rng.uniform(-0.6, 0.6)
        gravity = np.array([np.sin(tilt), 0, np.cos(tilt)])
        for motion in range(len(MOTIONS)):
            for _ in range(WINDOWS):
                phase = 2 * np.pi * (pace * rng.uniform(0.9, 1.1) * time + rng.uniform())
                moved = {
                    "still": np.zeros((SAMPLES, 3)),
                    "walking": np.stack([0.2 * np.sin(phase), 0.1 * np.sin(phase / 2), 0.5 * np.sin(2 * phase)], 1),
                    "waving": np.stack([0.1 * np.sin(phase), 0.9 * np.sin(1.6 * phase), 0.1 * np.cos(phase)], 1),
                    "turning": np.stack([0.6 * np.sin(phase / 3), 0.1 * np.sin(phase), 0.6 * np.cos(phase / 3)], 1),
                }[MOTIONS[motion]]
                x.append(gravity + strength * moved + rng.normal(0, 0.15, (SAMPLES, 3)))
                y.append(MOTIONS[motion])
                people.append(person)
    return np.array(x, np.float32), np.array(y), np.array(people)


def network(shape, outputs):
    """Three convolutions along time, and their mean."""
    inputs = x = keras.Input(shape, name="input")
    for number, filters in enumerate((16, 24, 32)):
        x = layers.Conv1D(filters, 5, strides=2, padding="same", name=f"conv1d_{number}")(x)
        x = layers.Activation("relu", name=f"activation_{number}")(layers.BatchNormalization(name=f"norm_{number}")(x))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(outputs, activation="softmax", name="dense")(x), name="motions")
