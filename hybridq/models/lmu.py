"""Legendre memory units: layers of linear memories whose states together go into one ReLU layer; online, never reset.

After Blouw et al., "Hardware Aware Training for Efficient Keyword Spotting on General Purpose and Specialized Hardware"
(arXiv 2009.04465). Each layer makes scalar signals of its input, one for each memory; what the memories hold of them
(`hybridq.models.legendre`) is read by a dense layer. The class is that of the last frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError

if TYPE_CHECKING:
    import keras

    from hybridq.models.base import Layers
    from hybridq.models.config import LMUConfig


def build(config: LMUConfig, shape: tuple[int, int], classes: int, layers: Layers) -> Any:
    """The network for input (coefficients, frames, 1), with softmax over the classes.

    Layers: lmu_N_encode (the signals), lmu_N_memory, lmu_N_dense; dense is the last.
    """
    inputs = layers.Input((*shape, 1), name="input")
    x = layers.Permute((2, 1), name="time_first")(layers.Reshape((shape[0], -1), name="matrix")(inputs))
    count = len(config.memories)
    every = zip(config.memories, config.order, config.window, config.units, strict=True)
    for number, (memories, order, window, units) in enumerate(every, 1):
        name, whole = f"lmu_{number}", number < count
        x = layers.Conv1D(memories, 1, name=f"{name}_encode")(x)
        x = layers.LinearMemory(order, window, return_sequences=whole, name=f"{name}_memory")(x)
        settings = {"use_bias": False, "name": f"{name}_dense"}
        dense = layers.Conv1D(units, 1, **settings) if whole else layers.Dense(units, **settings)
        x = layers.BatchNormalization(name=f"{name}_norm")(dense(x))
        x = layers.Dropout(config.dropout, name=f"{name}_dropout")(layers.ReLU(name=f"{name}_relu")(x))
    x = layers.Dense(classes, activation="softmax", name="dense")(x)
    return layers.Model(inputs, x, name="lmu")


def online(model: keras.Model) -> keras.Model:
    """A network for a stream: a frame (1, coefficients, 1, 1) in, its answer out, the states kept.

    It has the layers and the weights of `model`, one of `build`, quantized or not. What that answers for a clip is the
    stream's answer at the clip's last frame, where the stream has begun with the clip. Raises UserError for a network
    without linear memories.
    """
    import keras

    from hybridq.models.linear_memory import LinearMemory

    if not is_online(model):
        raise UserError(f"{model.name}: it has no memory that a stream could go on with")

    def clone(layer: keras.Layer) -> keras.Layer:
        settings = layer.get_config()
        settings |= {"online": True} if isinstance(layer, LinearMemory) else {}
        return layer.__class__.from_config(settings)

    _, coefficients, _, _ = model.input_shape
    frame = keras.Input((coefficients, 1, 1), batch_size=1, name="frame")
    stream = keras.models.clone_model(model, input_tensors=frame, clone_function=clone)
    for layer in model.layers:
        if layer.weights:
            stream.get_layer(layer.name).set_weights(layer.get_weights())
    return stream


def is_online(model: keras.Model) -> bool:
    """Whether a network hears a stream frame by frame."""
    return any(type(layer).__name__ == "LinearMemory" for layer in model.layers)
