"""What an integer network computes. This is the definition: the C code must give the same, to the last bit.

Every step is exact arithmetic on integers. Accumulators are int32 on the device; the converter makes sure that none
overflows, so int64 here gives the same; and so does float64 in a matrix product, where it is several times faster.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.integer.network import (
    INT8,
    INT16,
    Add,
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Integers,
    Layer,
    MaxPool,
    Memory,
    Requantization,
)

Tensors = tuple[Integers, ...]  # what a layer reads, each (clips, *shape)
BATCH = 32  # clips at a time: the tensors of all would fill the memory


def logits(network: IntegerNetwork, inputs: NDArray[np.int8]) -> NDArray[np.int16]:
    """The logits (clips, classes) for inputs (clips, *input_shape)."""
    last = network.layers[-1].name
    parts = [every_tensor(network, inputs[at : at + BATCH])[last] for at in range(0, len(inputs), BATCH)]
    joined: NDArray[np.int16] = np.concatenate(parts).astype(np.int16)
    return joined


def classes(network: IntegerNetwork, inputs: NDArray[np.int8]) -> NDArray[np.int64]:
    """The class of each clip: the first of its largest logits."""
    largest: NDArray[np.int64] = np.argmax(logits(network, inputs), axis=1)
    return largest


def every_tensor(network: IntegerNetwork, inputs: NDArray[np.int8]) -> dict[str, Integers]:
    """All tensors by name, each (clips, *shape)."""
    tensors = {network.input_name: inputs.astype(np.int64)}
    for layer in network.layers:
        made = computed(layer, tuple(tensors[name] for name in layer.inputs))
        tensors[layer.name] = made.reshape(len(inputs), *layer.shape)
    return tensors


def quantized(values: NDArray[Any], fraction: int) -> NDArray[np.int8]:
    """Real numbers as int8 of that fraction: rounded half up, and clipped."""
    integers: NDArray[np.int8] = np.clip(np.floor(values * 2.0**fraction + 0.5), *INT8).astype(np.int8)
    return integers


@singledispatch
def computed(layer: Layer, inputs: Tensors) -> Integers:
    """What a layer makes of its inputs, each (clips, *shape)."""
    raise NotImplementedError(type(layer).__name__)


@computed.register
def _(layer: Convolution, inputs: Tensors) -> Integers:
    rows, columns, _, _ = layer.weights.shape
    sums = layer.bias
    for patch, kernel in _windows(inputs[0], (rows, columns), layer, layer.weights):
        sums = sums + product(patch, kernel)
    return _finished(layer, sums)


@computed.register
def _(layer: Depthwise, inputs: Tensors) -> Integers:
    rows, columns, _ = layer.weights.shape
    sums = layer.bias
    for patch, kernel in _windows(inputs[0], (rows, columns), layer, layer.weights):
        sums = sums + patch * kernel
    return _finished(layer, sums)


@computed.register
def _(layer: Dense, inputs: Tensors) -> Integers:
    flat = inputs[0].reshape(len(inputs[0]), -1)
    return _finished(layer, product(flat, layer.weights) + layer.bias)


@computed.register
def _(layer: MaxPool, inputs: Tensors) -> Integers:
    (x,), (rows, columns, _) = inputs, layer.shape
    parts = [
        x[:, i : i + layer.strides[0] * rows : layer.strides[0], j : j + layer.strides[1] * columns : layer.strides[1]]
        for i in range(layer.window[0])
        for j in range(layer.window[1])
    ]
    largest: Integers = np.max(np.stack([part[:, :rows, :columns] for part in parts]), axis=0)
    return largest


@computed.register
def _(layer: AveragePool, inputs: Tensors) -> Integers:
    sums = inputs[0].reshape(len(inputs[0]), -1, inputs[0].shape[-1]).sum(1)
    return requantized(sums, layer.out)


@computed.register
def _(layer: Add, inputs: Tensors) -> Integers:
    a, b = inputs
    return np.clip(shifted(a * layer.scales[0] + b * layer.scales[1], layer.shift), layer.low, layer.high)


@computed.register
def _(layer: Memory, inputs: Tensors) -> Integers:
    signals = inputs[0].reshape(len(inputs[0]), *inputs[0].shape[-2:])
    made, _ = remembered(layer, signals, np.zeros((len(signals), signals.shape[-1], layer.order), np.int64))
    return made if len(layer.shape) > 1 else made[:, -1]


def remembered(layer: Memory, signals: Integers, states: Integers) -> tuple[Integers, Integers]:
    """Frame by frame: what memories make of signals (clips, frames, signals), and the states that they are left with.

    Result (clips, frames, signals * order); states, before and after, (clips, signals, order).
    """
    made = []
    for frame in range(signals.shape[1]):
        read = np.concatenate([signals[:, frame, :, None] << layer.input_shift, states], axis=-1)
        states = np.clip(shifted(product(read, layer.matrix.T), layer.matrix_shift), *INT16)
        made.append(np.clip(shifted(states, layer.output_shift), *INT8).reshape(len(signals), -1))
    return np.stack(made, axis=1), states


def product(values: Integers, weights: Integers) -> Integers:
    """values @ weights, exactly: the sums are below 2**31, and float64 holds every integer up to 2**53."""
    sums: Integers = (values.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)
    return sums


def requantized(accumulator: Integers, by: Requantization) -> Integers:
    """An accumulator as a stored integer: accumulator * multiplier / 2**(32 + shift), rounded half up, clipped."""
    return np.clip(shifted(accumulator * by.multiplier, 32 + by.shift), by.low, by.high)


def shifted(value: Integers, by: Integers | int) -> Integers:
    """value / 2**by, rounded half up; by 0, the value."""
    half = np.where(np.asarray(by) > 0, 1 << np.maximum(np.asarray(by) - 1, 0), 0)
    rounded: Integers = (value + half) >> by
    return rounded


def looked_up(value: Integers, table: Integers) -> Integers:
    """An exact function of int8: the table's entry for each value, -128 first."""
    entries: Integers = table[value + 128]
    return entries


def normalised(value: Integers, by: Affine) -> Integers:
    """A batch norm on stored integers."""
    return np.clip(shifted(value * by.scale + by.offset, by.shift), *INT8)


def table_of(function: Callable[[NDArray[np.float64]], NDArray[np.float64]], before: int, after: int) -> Integers:
    """A nonlinearity as 256 int8, from the fraction of what it reads to that of what it makes."""
    values = np.arange(-128, 128, dtype=np.float64) * 2.0**-before
    return quantized(function(values), after).astype(np.int64)


def is_logits(by: Requantization) -> bool:
    """Whether it makes the int16 of a last layer."""
    return (by.low, by.high) == INT16


def _finished(layer: Convolution | Depthwise | Dense, accumulator: Integers) -> Integers:
    stored = requantized(accumulator, layer.out)
    if layer.table is not None:
        stored = looked_up(stored, layer.table)
    return stored if layer.affine is None else normalised(stored, layer.affine)


def _windows(
    x: Integers, window: tuple[int, int], layer: Convolution | Depthwise, weights: Integers
) -> list[tuple[Integers, Integers]]:
    """For each place in the window: the input under it, for all outputs, and the weights of that place."""
    padded = np.pad(x, ((0, 0), *layer.pads, (0, 0)))
    (rows, columns, _), (down, right) = layer.shape, layer.strides
    return [
        (padded[:, i : i + down * (rows - 1) + 1 : down, j : j + right * (columns - 1) + 1 : right], weights[i, j])
        for i in range(window[0])
        for j in range(window[1])
    ]
