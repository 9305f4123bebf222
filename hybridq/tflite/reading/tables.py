"""Functions of one int8 as tables: the 256 integers that TensorFlow Lite's reference kernels make of -128 to 127."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hybridq.integer.map_arithmetic import rounded_away, shifted
from hybridq.integer.network import INT8, INT16, Integers
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


def _hard_swish(call: Call) -> Integers:
    """x * relu6(x + 3) / 6 in int16, of numbers 128 times as fine as the input's."""
    read, made = call.sources[0].grid, call.grid
    fine = (INTEGERS - read.zero) << 7
    multiplier, shift = _of_16_bits(read.scale / 128 / made.scale)
    ahead = shifted(fine * multiplier, 15)  # x, on the grid of the result but for its shift
    multiplier, exponent = _of_16_bits(read.scale / 128 / (3 / 2**15))
    gate = fine
    if exponent < 0:
        gate = np.clip(gate << (-exponent - 1), *INT16)
    gate = shifted(gate * multiplier, 15)
    gate = np.clip(gate << 1, *INT16) if exponent < 0 else rounded_away(gate, exponent)
    product = ((gate + 2**15) >> 1) * ahead
    whole = np.where(product < 0, -(-product >> 15), product >> 15)  # towards 0
    return np.clip(rounded_away(whole, max(shift, 0)) + made.zero, *INT8)


def _of_16_bits(real: float) -> tuple[int, int]:
    """A factor as multiplier / 2**(15 + shift)."""
    multiplier, shift = multiplier_of(real)
    return min((multiplier + 2**15) >> 16, INT16[1]), shift


TABLES: dict[str, Callable[[Call], Integers]] = {
    "QUANTIZE": _rescaled,
    "RELU": _clipped("relu"),
    "RELU6": _clipped("relu6"),
    "RELU_N1_TO_1": _clipped("relu_n1_to_1"),
    "LEAKY_RELU": _leaky,
    "LOGISTIC": _real(lambda x: 1 / (1 + np.exp(-x))),
    "TANH": _real(np.tanh),
    "HARD_SWISH": _hard_swish,
}
