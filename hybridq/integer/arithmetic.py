"""What an integer network computes. This is the definition: the C code must give the same, to the last bit.

Every step is exact arithmetic on integers. Accumulators are int32 on the device; the converter makes sure that none
overflows, so int64 here gives the same. So do floats that hold every sum of a layer, and are several times faster.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.integer import scaled_arithmetic as scaled_arithmetic  # registers its layers
from hybridq.integer.bounds import worst_sum
from hybridq.integer.map_arithmetic import Tensors, every, window_parts
from hybridq.integer.map_arithmetic import computed as computed
from hybridq.integer.map_arithmetic import requantized as requantized
from hybridq.integer.map_arithmetic import shifted as shifted
from hybridq.integer.network import (
    INT8,
    INT16,
    Add,
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    Grid,
    IntegerNetwork,
    Integers,
    MaxPool,
    Memory,
)

Outputs = NDArray[np.int8] | NDArray[np.int16]
BATCH = 32  # clips at a time: the tensors of all would fill the memory


def outputs(network: IntegerNetwork, inputs: NDArray[np.int8]) -> list[Outputs]:
    """What leaves the network for inputs (examples, *input_shape), output by output: (examples, *shape of the layer).

    int16 or int8, as the layer makes it; it stands for integer * 2**-fraction of the layer.
    """
    batches = [every_tensor(network, inputs[at : at + BATCH]) for at in range(0, len(inputs), BATCH)]
    results: list[Outputs] = []
    for layer in network.results:
        joined = np.concatenate([batch[layer.name] for batch in batches])
        results.append(joined.astype(np.int16) if layer.is_wide else joined.astype(np.int8))
    return results


def logits(network: IntegerNetwork, inputs: NDArray[np.int8]) -> NDArray[np.int16]:
    """The first output (clips, classes) for inputs (clips, *input_shape), of a network that tells classes apart."""
    return outputs(network, inputs)[0].astype(np.int16)


def classes(network: IntegerNetwork, inputs: NDArray[np.int8]) -> NDArray[np.int64]:
    """The class of each example, of a network that tells classes apart."""
    return classes_in(outputs(network, inputs)[0], network.results[0].stands_for.zero)


def classes_in(output: NDArray[Any], zero: int = 0) -> NDArray[np.int64]:
    """The classes (n,) that an output (n, *shape) says: the first of the largest; of one, whether it is above zero."""
    scores = output.reshape(len(output), -1)
    first: NDArray[np.int64] = scores.argmax(1) if scores.shape[1] > 1 else (scores[:, 0] > zero).astype(np.int64)
    return first


def every_tensor(network: IntegerNetwork, inputs: NDArray[np.int8]) -> dict[str, Integers]:
    """All tensors by name, each (clips, *shape)."""
    tensors = {network.input_name: inputs.astype(np.int64)}
    for layer in network.layers:
        made = computed(layer, tuple(tensors[name] for name in layer.inputs))
        tensors[layer.name] = made.reshape(len(inputs), *layer.shape)
    return tensors


def quantized(values: NDArray[Any], fraction: int) -> NDArray[np.int8]:
    """Real numbers as int8 of that fraction: rounded half up, and clipped."""
    return on_grid(values, Grid(2.0**-fraction))


def on_grid(values: NDArray[Any], grid: Grid) -> NDArray[np.int8]:
    """Real numbers as int8 of that grid: rounded half up, and clipped."""
    steps = np.floor(values / grid.scale + 0.5) + grid.zero
    integers: NDArray[np.int8] = np.clip(steps, *INT8).astype(np.int8)
    return integers


@computed.register
def _(layer: Convolution, inputs: Tensors) -> Integers:
    (high, wide), (rows, columns, outputs), (down, right) = layer.weights.shape[:2], layer.shape, layer.strides
    padded, weights = _in_floats(_padded(inputs[0], layer), layer.weights)
    apart, beside_by = layer.dilation
    # A product takes a row of the window: its columns lie side by side, which is faster than one by one.
    beside = np.concatenate([padded[:, :, every(j * beside_by, columns, right)] for j in range(wide)], axis=-1)
    by_row = weights.reshape(high, -1, outputs)
    return _finished(layer, sum(beside[:, every(i * apart, rows, down)] @ by_row[i] for i in range(high)))


@computed.register
def _(layer: Depthwise, inputs: Tensors) -> Integers:
    (high, wide), (rows, columns, _), (down, right) = layer.weights.shape[:2], layer.shape, layer.strides
    repeated = np.repeat(inputs[0], layer.depth_multiplier, axis=-1)
    padded, weights = _in_floats(_padded(repeated, layer), layer.weights)
    apart, beside_by = layer.dilation
    parts = (
        padded[:, every(i * apart, rows, down), every(j * beside_by, columns, right)] * weights[i, j]
        for i in range(high)
        for j in range(wide)
    )
    return _finished(layer, sum(parts))


@computed.register
def _(layer: Dense, inputs: Tensors) -> Integers:
    flat = inputs[0].reshape(len(inputs[0]), -1)
    return _finished(layer, product(flat, layer.weights))


@computed.register
def _(layer: MaxPool, inputs: Tensors) -> Integers:
    parts = window_parts(inputs[0], layer.window, layer.strides, layer.pads, layer.shape, INT8[0])
    return functools.reduce(np.maximum, parts)


@computed.register
def _(layer: AveragePool, inputs: Tensors) -> Integers:
    sums = inputs[0].reshape(len(inputs[0]), -1, inputs[0].shape[-1]).sum(1)
    return requantized(sums, layer.out)


@computed.register
def _(layer: Add, inputs: Tensors) -> Integers:
    total = functools.reduce(
        np.add, (x.reshape(-1, *layer.shape) * scale for x, scale in zip(inputs, layer.scales, strict=True))
    )
    return np.clip(shifted(total, layer.shift), layer.low, layer.high)


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


def looked_up(value: Integers, table: Integers) -> Integers:
    """An exact function of int8: the table's entry for each value, -128 first."""
    entries: Integers = table[value + 128]
    return entries


def normalised(value: Integers, by: Affine) -> Integers:
    """A batch norm on stored integers."""
    made = shifted(value * by.scale + by.offset, by.shift)
    return np.clip(made, *INT8, out=made)


def table_of(function: Callable[[NDArray[np.float64]], NDArray[np.float64]], before: int, after: int) -> Integers:
    """A nonlinearity as 256 int8, from the fraction of what it reads to that of what it makes."""
    values = np.arange(-128, 128, dtype=np.float64) * 2.0**-before
    return quantized(function(values), after).astype(np.int64)


def _finished(layer: Convolution | Depthwise | Dense, sums: NDArray[Any]) -> Integers:
    accumulator = sums.astype(np.int64)
    accumulator += layer.bias
    stored = requantized(accumulator, layer.out)
    if layer.table is not None:
        stored = looked_up(stored, layer.table)
    return stored if layer.affine is None else normalised(stored, layer.affine)


def _in_floats(values: Integers, weights: Integers) -> tuple[NDArray[Any], NDArray[Any]]:
    """int8 and weights as floats in which the sums of their products are exact: those of 32 bits hold up to 2**24."""
    kind = np.float32 if worst_sum(weights).max() <= 2**24 else np.float64
    return values.astype(kind), weights.astype(kind)


def _padded(x: Integers, layer: Convolution | Depthwise) -> Integers:
    return np.pad(x, ((0, 0), *layer.pads, (0, 0)), constant_values=layer.outside)
