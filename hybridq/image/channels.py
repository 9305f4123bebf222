"""What the kernels in hybridq/image/c finish a sum with: a bias, and a factor as multiplier and shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridq.image.packing import as_matrix, is_gathered, packed_shape
from hybridq.image.sparse import is_sparse
from hybridq.integer.network import Convolution, Depthwise, Integers, Weighted

PAIR_WORDS = 5  # two biases, two multipliers, and a word with two shifts


def packed_bias(layer: Weighted) -> NDArray[np.int32]:
    """The bias by output, as the kernel wants it.

    Kernels for 1-bit and ternary weights add up x + 128 in place of x; those for 8 and 4 bits x - 128 in odd places.
    Where sums are doubled, so is it. It is an int32 that wraps around, as they do: only both together are within.
    """
    bias = np.broadcast_to(layer.bias, layer.shape[-1:])
    if not isinstance(layer, Depthwise) and not is_sparse(layer):
        matrix = as_matrix(layer.weights.reshape(packed_shape(layer)), layer.width)
        bias = bias - 128 * matrix.sum(1) if layer.width.stored.row.planes else bias + 128 * matrix[:, 1::2].sum(1)
    return (bias << layer.out.doublings).astype(np.int32)


def packed_factors(layer: Weighted) -> tuple[Integers, Integers]:
    """The multipliers and the shifts by output, as the kernel wants them.

    One that rounds twice multiplies by 2**30 at the least; 0 is the least factor, to which no sum is 1/2.
    """
    by, count = layer.out, layer.shape[-1]
    multiplier, shift = np.broadcast_to(by.multiplier, count), np.broadcast_to(by.shift, count)
    if by.twice:
        return np.where(multiplier == 0, 2**30, multiplier), np.where(multiplier == 0, 31, shift + 1)
    return multiplier, shift + by.doublings


def has_pairs(layer: Weighted) -> bool:
    """Whether a layer computes two outputs at a time: then what finishes their sums stands with their weights."""
    return isinstance(layer, Convolution) and not is_gathered(layer) and not layer.width.stored.row.planes


def stored_bytes(layer: Weighted) -> int:
    """What a bias, a multiplier and a shift for each output take."""
    outputs = layer.shape[-1]
    return (outputs + 1) // 2 * 4 * PAIR_WORDS if has_pairs(layer) else 9 * outputs


def packed_pairs(layer: Weighted, weights: bytes) -> NDArray[np.uint32]:
    """The weights of such a layer as `packing.pack` has made them, and what finishes their sums, pair by pair.

    Of 8 bits the two biases, the weights, the two multipliers; of 4 bits the biases behind the weights. Multipliers are
    doubled where a result is rounded twice. Then a word of the two shifts, a byte each. Its highest bit says that it is
    the last, the next one that there is one output alone.
    """
    outputs = layer.shape[-1]
    rows = np.frombuffer(weights, "<u4").reshape((outputs + 1) // 2, -1)
    multipliers, shifts = packed_factors(layer)
    values = (packed_bias(layer), multipliers << int(layer.out.twice), shifts)
    biases, by, shifts = (np.pad(each, (0, outputs % 2)).reshape(-1, 2).astype("<i8") for each in values)
    ends = shifts[:, :1] + (shifts[:, 1:] << 8)
    ends[-1] += 2**31 + 2**30 * (outputs % 2)
    start = [biases, rows] if layer.width.stored.row.bytes_for == 1 else [rows, biases]
    return np.concatenate([*start, by, ends], axis=1).astype("<u4").ravel()
