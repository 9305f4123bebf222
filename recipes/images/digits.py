"""Handwritten digits, 8 x 8 pixels, that come with scikit-learn; and a network for them."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits


def data():
    """1,797 pictures (8, 8, 1) from 0 to 1, and which digit each is."""
    digits = load_digits()
    return digits.images[..., None].astype(np.float32) / 16, digits.target


def network(shape, outputs):
    """Two convolutions and two dense layers."""
    inputs = x = keras.Input(shape, name="input")
    x = layers.Conv2D(16, 3, padding="same", name="conv2d")(x)
    x = layers.Activation("relu", name="conv2d_activation")(layers.BatchNormalization(name="conv2d_norm")(x))
    x = layers.Conv2D(32, 3, padding="same", name="conv2d_1")(x)
    x = layers.Activation("relu", name="conv2d_1_activation")(layers.BatchNormalization(name="conv2d_1_norm")(x))
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(name="pool")(x))
    x = layers.Dense(64, activation="relu", name="dense")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(outputs, activation="softmax", name="dense_1")(x), name="digits")
