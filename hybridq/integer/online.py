"""The integer network on a stream: a network with memories reads one frame after the other, and is never reset.

The network of a clip and that of a frame have the same layers; what they make of a clip is the same to the last bit.
A device runs the one of a frame.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.integer import arithmetic
from hybridq.integer.network import Convolution, Dense, IntegerNetwork, Layer, Memory


def is_online(network: IntegerNetwork) -> bool:
    """Whether it has memories that a stream goes on with."""
    return any(isinstance(layer, Memory) for layer in network.layers)


def on_device(network: IntegerNetwork) -> IntegerNetwork:
    """The network that a device runs: that of a frame where there are memories, else the network itself."""
    return frame_by_frame(network) if is_online(network) else network


def frame_by_frame(network: IntegerNetwork) -> IntegerNetwork:
    """The network of a single frame (rows, 1, channels). Raises UserError for a layer that mixes frames."""
    rows, _, channels = network.input_shape
    layers = tuple(_of_frame(layer) for layer in network.layers)
    return replace(network, input_shape=(rows, 1, channels), layers=layers)


class Streams:
    """Frames in, answers out: so many streams at once, each of which begins with states of zero.

    Raises UserError, when it is made, for a network with a layer that mixes frames.
    """

    def __init__(self, network: IntegerNetwork, count: int = 1) -> None:
        self.network, self.count = frame_by_frame(network), count
        memories = [layer for layer in self.network.layers if isinstance(layer, Memory)]
        self._states = {one.name: np.zeros((count, one.shape[0] // one.order, one.order), np.int64) for one in memories}

    def answer(self, frames: NDArray[np.int8]) -> NDArray[np.int16]:
        """The logits (streams, classes) after a frame of each, (streams, rows, 1, channels)."""
        tensors = {self.network.input_name: frames.astype(np.int64)}
        for layer in self.network.layers:
            inputs = tuple(tensors[name] for name in layer.inputs)
            if isinstance(layer, Memory):
                signals = inputs[0].reshape(self.count, 1, -1)
                result, self._states[layer.name] = arithmetic.remembered(layer, signals, self._states[layer.name])
            else:
                result = arithmetic.computed(layer, inputs)
            tensors[layer.name] = result.reshape(self.count, *layer.shape)
        logits: NDArray[np.int16] = tensors[self.network.outputs[0]].astype(np.int16)
        return logits


def _of_frame(layer: Layer) -> Layer:
    """A convolution that reads one frame is a dense layer there."""
    if isinstance(layer, Memory):
        return replace(layer, shape=layer.shape[-1:])
    if isinstance(layer, Dense):
        return layer
    if not isinstance(layer, Convolution) or layer.weights.shape[1] > 1 or layer.shape[0] > 1 or np.any(layer.pads):
        raise UserError(f"{layer.name}: it reads several frames, and the network hears one after the other")
    return Dense(
        name=layer.name,
        inputs=layer.inputs,
        shape=layer.shape[-1:],
        fraction=layer.fraction,
        weights=layer.weights.reshape(-1, layer.weights.shape[-1]),
        width=layer.width,
        bias=layer.bias,
        out=layer.out,
        table=layer.table,
        affine=layer.affine,
    )
