"""Networks for windows of a watch's sensors, 128 samples of 6 channels."""

import keras
from keras import layers


def convolutions(shape, outputs):
    """Four convolutions along time, and their mean."""
    inputs = x = keras.Input(shape, name="input")
    for number, (filters, width, stride) in enumerate(((24, 7, 2), (32, 5, 2), (40, 5, 2), (48, 3, 1))):
        x = layers.Conv1D(filters, width, strides=stride, padding="same", use_bias=False, name=f"conv_{number}")(x)
        x = layers.Activation("relu", name=f"relu_{number}")(layers.BatchNormalization(name=f"norm_{number}")(x))
        x = layers.Dropout(0.2, name=f"dropout_{number}")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(outputs, activation="softmax", name="dense")(x), name="exercises")


def recurrent(shape, outputs):
    """A convolution that keeps every fourth sample, and a GRU over what it makes."""
    inputs = keras.Input(shape, name="input")
    x = layers.Conv1D(16, 8, strides=4, padding="same", activation="relu", name="conv")(inputs)
    x = layers.GRU(24, name="gru")(x)
    return keras.Model(inputs, layers.Dense(outputs, activation="softmax", name="dense")(x), name="exercises-gru")
