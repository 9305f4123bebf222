"""What the kernels in hybridq/image/c finish a sum with: a bias, and a factor as multiplier and shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybridq.image.packing import as_matrix, is_gathered, packed_shape
from hybridq.image.sparse import is_sparse
from hybridq.integer.network import Convolution, Depthwise, Integers, Weighted


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


def channels_stored(layer: Weighted) -> int:
    """For how many outputs there is a bias and a factor: convolutions of 8 and 4 bits compute two at a time."""
    paired = isinstance(layer, Convolution) and not is_gathered(layer) and not layer.width.stored.row.planes
    return layer.shape[-1] + layer.shape[-1] % 2 if paired else layer.shape[-1]
