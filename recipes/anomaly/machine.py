"""Made-up spectra of a machine, normal and worn; an autoencoder in the shape of MLPerf Tiny's. Synthetic: no result."""

import keras
import numpy as np
from keras import layers

BANDS, FRAMES = 128, 5  # of a spectrogram, joined to one input of 640 numbers
HARMONICS = 12


def data():
    """x (3000, 640), y: 0 is normal, 1 an anomaly; training and validation are on what is normal alone."""
    rng = np.random.default_rng(0)
    normal = np.stack([window(rng, worn=False) for _ in range(2600)])
    worn = np.stack([window(rng, worn=True) for _ in range(400)])
    x = np.concatenate([normal, worn]).astype(np.float32)
    return x, np.repeat([0, 1], [len(normal), len(worn)])


def window(rng, worn):
    """The logarithm of a few frames (640,) of a hum with harmonics, which drifts; a worn one rattles between them."""
    bands = np.arange(BANDS)
    pitch, loud = rng.uniform(8.5, 9.5), rng.normal(0, 0.3)
    frames = []
    for _ in range(FRAMES):
        pitch += rng.normal(0, 0.05)
        peaks = [np.exp(-(((bands - pitch * h) / 1.5) ** 2)) * 0.9**h for h in range(1, HARMONICS + 1)]
        spectrum = 0.02 + np.sum(peaks, 0)
        if worn:
            spectrum += 0.12 * np.exp(-(((bands - pitch * rng.integers(2, 9) - pitch / 2) / 2.5) ** 2))
        frames.append(np.log(spectrum) + loud + rng.normal(0, 0.15, BANDS))
    return np.concatenate(frames)


def network(shape, outputs):
    """640-128-128-128-128-8-128-128-128-128-640."""
    inputs = x = keras.Input(shape, name="input")
    for number, units in enumerate((128, 128, 128, 128, 8, 128, 128, 128, 128)):
        x = layers.Dense(units, name=f"dense_{number}")(x)
        x = layers.Activation("relu", name=f"relu_{number}")(layers.BatchNormalization(name=f"norm_{number}")(x))
    return keras.Model(inputs, layers.Dense(outputs, name="dense_9")(x), name="anomaly")
