"""Weights as they lie in flash, for the kernels in hybridq/image/c. Little-endian; a whole number of 32-bit words.

The weights of a layer are first laid out as a matrix, a row for each output:

    dense           (inputs, outputs)                   row: the inputs, and zeros up to a multiple of 4
    convolution     (rows, columns, inputs, outputs)    row: column after column of the kernel, each (rows, inputs) with
                                                        zeros up to a multiple of 4, as the kernels' strips have them;
                                                        with 8 and 4 bits, where the inputs are not a multiple of 4,
                                                        (rows, columns, inputs), and zeros

and the matrix is packed by the format of its weights; missing rows are zeros:

    8 bits          two rows at a time: 4 weights of the first, 4 of the second, the next 4 of the first, ...; those in
                    even places with 128 added, see c/hq_conv.c
    4 bits          two rows at a time, a byte for each weight b of the second and a of the first: 16 b + a, as int8; in
                    even places with 8 added to both
    1 bit           four rows at a time, word by word: 32 weights of the first, of the second, third, fourth, ...
                    A set bit is 1; a clear one is -1, or padding. Weight 4 t + i of the 32 is bit 8 i + 7 - t: UADD8 of
                    a word with itself moves the top bit of each byte to the flags by which SEL picks among the 4
                    bytes of the inputs 4 t to 4 t + 3, and leaves the next bits on top.
    ternary         as 1 bit, with two rows in place of one: the weights that are 1, then those that are -1

The weights of a convolution whose windows are gathered one by one are packed as those of a dense layer that reads them.

How, a format's row says (`bytes_for`, `planes`); one that has neither is packed as the next wider one that has.

Depthwise weights (rows, columns, channels) are a byte each, in this order, whatever their width. Those of 3 x 3 go
channel by channel: of the first two rows column by column, then the third row; of each four the two in the middle are
swapped, so that SXTB16 makes pairs. The matrix of memories is int16, with a row and a column of zeros behind it where
there would be an odd number of them.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.formats import Format, Row
from hybridq.integer.network import Convolution, Depthwise, Integers, Shape, Weighted, Windowed

_T, _I = np.arange(8)[:, None], np.arange(4)[None, :]
THREE = (3, 3)  # the depthwise window that has a kernel of its own, and the order of its weights
OF_THREE = np.array([0, 1, 3, 4, 2, 6, 5, 7, 8])
_BIT = (8 * _I + 7 - _T).astype(np.uint32)  # of weight 4 t + i, as [t, i]


def stored_format(layer: Weighted) -> Format:
    """The format in which a layer's weights are packed: its own, or the next wider one that has kernels there."""
    return Format.INT8 if isinstance(layer, Depthwise) else layer.width.stored


def is_gathered(layer: Weighted) -> bool:
    """Whether a convolution's windows are gathered, or summed, one by one: by small kernels, not the fastest."""
    if isinstance(layer, Depthwise) and layer.depth_multiplier > 1:
        return True
    return isinstance(layer, Windowed) and (layer.is_wide or max(layer.dilation) > 1)


def is_each(layer: Convolution) -> bool:
    """Whether a convolution of 8 or 4 bits makes its windows one by one: they share no columns, or these no words."""
    inputs, apart = layer.weights.shape[2], layer.weights.shape[1] == 1 < layer.strides[1]
    return not layer.width.stored.row.planes and (inputs % 4 > 0 or apart)


def packed_shape(layer: Weighted) -> Shape:
    """The shape in which a layer's weights are packed."""
    gathered = isinstance(layer, Convolution) and is_gathered(layer)
    shape = layer.weights.shape
    return (prod(shape[:-1]), shape[-1]) if gathered else shape


def pack(weights: Integers, width: Format) -> bytes:
    """The weights of a dense (2 axes), depthwise (3) or convolutional layer (4). Their values must be of that width."""
    if weights.ndim == 3:
        if weights.shape[:2] == THREE:
            weights = weights.reshape(9, -1)[OF_THREE].T
        return _words(np.ascontiguousarray(weights).astype(np.int8))
    matrix, row = as_matrix(weights, width), width.stored.row
    if row.planes:
        return _pack_bits(
            np.stack([_plane(matrix, row, n) for n in range(_planes(row))], 1).reshape(-1, matrix.shape[1])
        )
    pairs = _filled(matrix, 0, 2).reshape(-1, 2, matrix.shape[1])
    if row.bytes_for == 2:
        return _words((16 * pairs[:, 1] + pairs[:, 0] + _more(row, matrix.shape[1])).astype(np.uint8))
    quads = (pairs + _more(row, matrix.shape[1])).reshape(-1, 2, matrix.shape[1] // 4, 4)
    return _words(quads.transpose(0, 2, 1, 3).astype(np.uint8))


def packed_bytes(shape: Shape, width: Format) -> int:
    """How many bytes `pack` makes of weights of that shape."""
    if len(shape) == 3:
        return _up(prod(shape), 4)
    outputs, length, row = shape[-1], _length(shape, width), width.stored.row
    if row.planes:
        return _up(_planes(row) * outputs, 4) * _up(length, 32) // 8
    return _up(_up(outputs, 2) * length // (row.bytes_for or 1), 4)


def _length(shape: Shape, width: Format) -> int:
    """Of a row of the matrix."""
    if len(shape) == 2 or _by_row(shape[2], width):
        return _up(prod(shape[:-1]), 4)
    return shape[1] * _up(shape[0] * shape[2], 4)


def unpack(data: bytes, shape: Shape, width: Format) -> Integers:
    """The weights of that shape from what `pack` made of them."""
    if len(shape) == 3:
        stored = np.frombuffer(data, np.int8)[: prod(shape)].astype(np.int64)
        if shape[:2] == THREE:
            stored = stored.reshape(-1, 9).T[np.argsort(OF_THREE)]
        return stored.reshape(shape)
    length = _length(shape, width)
    row = width.stored.row
    if row.planes:
        bits = _unpack_bits(data, length)
        count = _planes(row)
        bits = bits[: len(bits) // count * count].reshape(-1, count, length)
        codes = {sum(int(bit) << n for n, bit in enumerate(code)): value for value, code in row.planes.items()}
        values = np.array([codes.get(code, 0) for code in range(1 << count)])
        matrix = values[(bits << np.arange(count)[:, None]).sum(1)]
    elif row.bytes_for == 2:
        both = _signed(np.frombuffer(data, np.uint8).astype(np.int64).reshape(-1, length), row)
        first = (both + 8) % 16 - 8
        matrix = np.stack([first, (both - first) // 16], axis=1).reshape(-1, length)
    else:
        pairs = np.frombuffer(data, np.uint8).astype(np.int64).reshape(-1, length // 4, 2, 4)
        matrix = _signed(pairs.transpose(0, 2, 1, 3).reshape(-1, length), row)
    return _weights(matrix, shape, width)


def memory_matrix(matrix: Integers) -> NDArray[np.int16]:
    """The matrix of a memory as its kernel wants it."""
    return _filled(_filled(matrix, 0, 2), 1, 2).astype(np.int16)


def least_tile(layer: Convolution | Depthwise) -> int:
    """Columns of the output for which there is scratch at the least: what fewer would save costs instructions."""
    return min(16 if isinstance(layer, Depthwise) else 4, layer.shape[1])


def scratch_bytes(layer: Convolution | Depthwise, tile: int) -> int:
    """What its kernel needs of scratch where a strip serves `tile` columns of the output (at least 2, or all).

    Of one whose windows are made one by one two windows and the bytes of one; of a gathered one the sums of a position,
    and its window.
    """
    if isinstance(layer, Depthwise):
        return _depthwise_scratch(layer, tile)
    rows, columns, inputs, outputs = layer.weights.shape
    if is_gathered(layer):
        gathered: int = 4 * outputs + _up(rows * columns * inputs, 4)
        return gathered
    each, length = layer.width.kernels.strip_bytes, _length(layer.weights.shape, layer.width)
    if is_each(layer):
        return (2 * each + 1) * length + 4
    span = (tile - 1) * layer.strides[1] + columns
    strip: int = span * each * length // columns
    return strip if layer.width.stored.row.planes else strip + 4 * span  # the sum of each column


def _depthwise_scratch(layer: Depthwise, tile: int) -> int:
    """Of a window of 3 x 3 a strip of 4 channels, two words for each column."""
    if is_gathered(layer):
        return 4 * layer.shape[-1]
    span = (tile - 1) * layer.strides[1] + layer.weights.shape[1]
    return 32 * span if layer.weights.shape[:2] == THREE else 0


def as_matrix(weights: Integers, width: Format) -> Integers:
    """The weights of a dense layer or a convolution, a row for each output, as one of that format has them."""
    if weights.ndim == 2:
        return _filled(weights.T, 1, 4)
    rows, columns, inputs, outputs = weights.shape
    if _by_row(inputs, width):
        return _filled(weights.reshape(-1, outputs).T, 1, 4)
    by_column = weights.transpose(3, 1, 0, 2).reshape(outputs, columns, rows * inputs)
    return _filled(by_column, 2, 4).reshape(outputs, -1)


def _weights(matrix: Integers, shape: Shape, width: Format) -> Integers:
    matrix = matrix[: shape[-1]]
    if len(shape) == 2:
        return matrix[:, : shape[0]].T
    rows, columns, inputs, outputs = shape
    if _by_row(inputs, width):
        return matrix[:, : rows * columns * inputs].T.reshape(shape)
    by_column = matrix.reshape(outputs, columns, -1)[:, :, : rows * inputs]
    return by_column.reshape(outputs, columns, rows, inputs).transpose(2, 1, 3, 0)


def _more(row: Row, length: int) -> Integers:
    """What is added to the bytes of a row of weights."""
    return np.where(np.arange(length) % 2, 0, 136 if row.bytes_for == 2 else 128)


def _signed(bytes_: Integers, row: Row) -> Integers:
    """What was packed as those bytes."""
    more = _more(row, bytes_.shape[-1])
    return np.where(more == 0, (bytes_ + 128) % 256 - 128, bytes_ - more)


def _by_row(inputs: int, width: Format) -> bool:
    """Whether a convolution's windows have their inputs in the order of the input's rows."""
    return inputs % 4 > 0 and not width.stored.row.planes


def _planes(row: Row) -> int:
    """Rows of bits for each row of weights."""
    return len(next(iter(row.planes.values())))


def _plane(matrix: Integers, row: Row, number: int) -> NDArray[np.bool_]:
    """The bits of the weights in one of their rows."""
    return np.isin(matrix, [value for value, code in row.planes.items() if code[number] == "1"])


def _pack_bits(rows: NDArray[np.bool_]) -> bytes:
    filled = _filled(_filled(rows.astype(np.uint32), 0, 4), 1, 32)
    bits = filled.reshape(len(filled) // 4, 4, -1, 8, 4) << _BIT
    return _words(bits.sum((3, 4)).transpose(0, 2, 1).astype("<u4"))


def _unpack_bits(data: bytes, length: int) -> Integers:
    words = np.frombuffer(data, "<u4").reshape(-1, _up(length, 32) // 32, 4).transpose(0, 2, 1)
    rows = (words[..., None, None] >> _BIT & 1).reshape(words.shape[0] * 4, -1)
    return rows[:, :length].astype(np.int64)


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _filled(array: NDArray[Any], axis: int, multiple: int) -> NDArray[Any]:
    """With zeros behind, up to a multiple along that axis."""
    more = [(0, 0)] * array.ndim
    more[axis] = (0, -array.shape[axis] % multiple)
    return np.pad(array, more)


def _words(array: NDArray[Any]) -> bytes:
    data: bytes = array.tobytes()
    return data + bytes(-len(data) % 4)
