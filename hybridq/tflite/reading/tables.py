"""Functions of one int8 as tables: the 256 integers that TensorFlow Lite's reference kernels make of -128 to 127."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hybridq.integer.network import INT8, Integers
from hybridq.integer.scaled_arithmetic import scaled
from hybridq.tflite.reading.multipliers import bounds_of, multiplier_of
from hybridq.tflite.reading.tensors import Call

INTEGERS = np.arange(INT8[0], INT8[1] + 1)


def _rescaled(call: Call, bounds: tuple[int, int] = INT8, factor: float = 1.0) -> Integers:
    """The same number, or so many times it, on the grid of the result."""
    read, made = call.sources[0].grid, call.grid
    values = scaled_by(INTEGERS - read.zero, factor * read.scale / made.scale) + made.zero
    return np.clip(values, *bounds)


def scaled_by(values: Integers, real: float) -> Integers:
    """values * real, in the integers by which kernels multiply."""
    multiplier, shift = multiplier_of(real)
    return scaled(values << max(-shift, 0), multiplier, max(shift, 0))


def _clipped(activation: str) -> Callable[[Call], Integers]:
    def table(call: Call) -> Integers:
        return _rescaled(call, bounds_of(activation, call.grid.scale, call.grid.zero))

    return table


def _leaky(call: Call) -> Integers:
    alpha = float(np.frombuffer(np.int32(call.node.options.number(0)).tobytes(), "<f4")[0])
    return np.where(call.sources[0].grid.zero > INTEGERS, _rescaled(call, factor=alpha), _rescaled(call))


def _real(function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Callable[[Call], Integers]:
    """The nearest integer of a function of real numbers."""

    def table(call: Call) -> Integers:
        read, made = call.sources[0].grid, call.grid
        values = function(np.asarray((INTEGERS - read.zero) * read.scale, np.float64)) / made.scale
        rounded = np.sign(values) * np.floor(np.abs(values) + 0.5)
        return np.clip(rounded.astype(np.int64) + made.zero, *INT8)

    return table


TABLES: dict[str, Callable[[Call], Integers]] = {
    "QUANTIZE": _rescaled,
    "RELU": _clipped("relu"),
    "RELU6": _clipped("relu6"),
    "RELU_N1_TO_1": _clipped("relu_n1_to_1"),
    "LEAKY_RELU": _leaky,
    "LOGISTIC": _real(lambda x: 1 / (1 + np.exp(-x))),
    "TANH": _real(np.tanh),
    "HARD_SWISH": _real(lambda x: x * np.clip(x + 3, 0, 6) / 6),
}
