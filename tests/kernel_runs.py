"""Run the C kernels, layer by layer, on one of `kernel_machines`: what tests of them share."""

from __future__ import annotations

import struct
from functools import singledispatchmethod
from typing import Any

import numpy as np
from kernel_machines import Machine

from hybridq.image import channels, packing
from hybridq.image.sparse import is_sparse
from hybridq.image.sparse import pack as pack_sparse
from hybridq.integer.maps import Channels, Concatenate, Multiply, Pad, PReLU, Upsample, WindowMean
from hybridq.integer.network import Add, AveragePool, Convolution, Dense, Depthwise, Layer, MaxPool


class Runner:
    """Runs layers on a machine; `instructions` is what the last one took (0 where they are not counted)."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.instructions = 0

    def layer(self, layer: Layer, *inputs: np.ndarray, tile: int = 4) -> np.ndarray:
        """What the kernels make of a layer's inputs, of its shape."""
        self.machine.clear()
        self.instructions = 0
        self._tile = tile
        out = self._run(layer, *(x.astype(np.int8) for x in inputs))
        if isinstance(layer, Convolution | Depthwise | Dense):
            count = int(np.prod(layer.shape))
            if layer.table is not None:
                self._call("hq_table", self._array(layer.table, np.int8), out, count)
            if layer.affine is not None:
                scale, offset = self._array(layer.affine.scale, np.int32), self._array(layer.affine.offset, np.int32)
                norm = self._struct("PPB", scale, offset, layer.affine.shift)
                self._call("hq_affine", norm, out, count // layer.shape[-1], layer.shape[-1])
        return self._taken(out, layer.shape, np.int16 if layer.is_wide else np.int8)

    def argmax(self, logits: np.ndarray) -> int:
        self.machine.clear()
        return self._call("hq_argmax", self._array(logits, np.int16), len(logits))

    @singledispatchmethod
    def _run(self, layer: Layer, *inputs: np.ndarray) -> int:
        raise NotImplementedError(type(layer).__name__)

    @_run.register
    def _(self, layer: Convolution, x: np.ndarray) -> int:
        if packing.is_gathered(layer):
            return self._gathered(layer, x)
        kernel = f"hq_conv_{layer.width.kernels.name}{'_each' * packing.is_each(layer)}_row"
        scratch = self._room(packing.scratch_bytes(layer, self._tile))
        return self._rows(layer, x, layer.weights.shape[:2], kernel, self._conv(layer, x), scratch)

    @_run.register
    def _(self, layer: Depthwise, x: np.ndarray) -> int:
        if packing.is_gathered(layer):
            return self._gathered(layer, x)
        scratch = self._room(packing.scratch_bytes(layer, self._tile))
        return self._rows(layer, x, layer.weights.shape[:2], "hq_depthwise_row", self._conv(layer, x), scratch)

    @_run.register
    def _(self, layer: MaxPool, x: np.ndarray) -> int:
        if any(map(any, layer.pads)):
            return self._rows(layer, x, layer.window, "hq_maxpool_padded_row", self._window(layer, x), between=True)
        pool = self._struct("HHBBB", layer.shape[1], layer.shape[2], *layer.window, layer.strides[1])
        return self._rows(layer, x, layer.window, "hq_maxpool_row", pool)

    @_run.register
    def _(self, layer: Dense, x: np.ndarray) -> int:
        inputs, outputs = layer.weights.shape
        kind = "sparse" if is_sparse(layer) else layer.width.kernels.name
        weights = self.machine.put(
            pack_sparse(layer.weights) if is_sparse(layer) else packing.pack(layer.weights, layer.width)
        )
        sums, out = self._room(4 * outputs), self._room((2 if layer.is_wide else 1) * outputs)
        dense = self._struct("PPPhhh0PHH", weights, *self._output(layer), inputs, outputs)
        self._call(f"hq_dense_{kind}", dense, self._array(x, np.int8), sums)
        if layer.out.doublings:
            self._call("hq_dense_doubled", dense, layer.out.doublings, sums)
        self._call(f"hq_dense_out_s{16 if layer.is_wide else 8}", dense, sums, out)
        return out

    @_run.register
    def _(self, layer: AveragePool, x: np.ndarray) -> int:
        _, columns, channels = x.shape
        sums, out = self._array(np.zeros(channels), np.int32), self._room(channels)
        for row in x:
            self._call("hq_sum_row", self._array(row, np.int8), columns, channels, sums)
        by = layer.out
        average = self._struct("ibhh", int(by.multiplier[0]), int(by.shift[0]), by.low, by.high)
        self._call("hq_average_s8", average, sums, channels, out)
        return out

    @_run.register
    def _(self, layer: WindowMean, x: np.ndarray) -> int:
        by = layer.out
        entries = zip(by.multiplier.tolist(), by.shift.tolist(), strict=True)
        packed = b"".join(struct.pack("@ibhh0i", *entry, by.low, by.high) for entry in entries)
        places, of = self._array(np.array(layer.places), np.uint16), (*x.shape[1:], *layer.window)
        window = (*of, layer.strides[1], layer.pads[1][0], 1, 1, 0)
        mean = self._struct("HHBBBBBBb0PPP", *window, places, self.machine.put(packed))
        return self._rows(layer, x, layer.window, "hq_mean_row", mean, self._room(4 * x.shape[2]), between=True)

    @_run.register
    def _(self, layer: Multiply, a: np.ndarray, b: np.ndarray) -> int:
        (rows, columns, channels), out = a.shape, self._room(a.size)
        next_column, next_channel = b.shape[2] if b.shape[1] > 1 else 0, int(b.shape[2] > 1 or channels == 1)
        product = self._struct(
            "iHHHBBhh", layer.scale, columns, channels, next_column, next_channel, layer.shift, layer.low, layer.high
        )
        for row in range(rows):
            read = self._array(a[row], np.int8), self._array(b[row % len(b)], np.int8)
            self._call("hq_multiply", product, *read, out + row * columns * channels)
        return out

    @_run.register
    def _(self, layer: Concatenate, *inputs: np.ndarray) -> int:
        (rows, columns, channels), before = layer.shape, 0
        out = self._room(rows * columns * channels)
        for x, shift in zip(inputs, layer.shifts, strict=True):
            part = self._struct("HHHbhh", rows * columns, x.shape[2], channels, shift, layer.low, layer.high)
            self._call("hq_join", part, self._array(x, np.int8), out + before)
            before += x.shape[2]
        return out

    @_run.register
    def _(self, layer: Upsample, x: np.ndarray) -> int:
        (_, columns, channels), (down, right) = x.shape, layer.factors
        kernel, width = "hq_spread_row" if layer.zeros else "hq_upsample_row", columns * channels * right
        out = self._room(layer.shape[0] * width)
        for row in range(layer.shape[0]):
            read = 0 if layer.zeros and row % down else self._array(x[row // down], np.int8)
            zero = (layer.outside,) * layer.zeros
            self._call(kernel, read, columns, channels, right, *zero, out + row * width)
        return out

    @_run.register
    def _(self, layer: Channels, x: np.ndarray) -> int:
        count = layer.shape[-1]
        out = self._room(x.size // x.shape[-1] * count)
        places = x.size // x.shape[-1]
        self._call("hq_channels_row", self._array(x, np.int8), places, x.shape[-1], layer.first, count, out)
        return out

    @_run.register
    def _(self, layer: Pad, x: np.ndarray) -> int:
        (rows, columns, channels), ((top, _), (left, _)) = x.shape, layer.pads
        width = layer.shape[1] * channels
        out = self._room(layer.shape[0] * width)
        for row in range(layer.shape[0]):
            read = self._array(x[row - top], np.int8) if 0 <= row - top < rows else 0
            self._call("hq_pad_row", read, columns, channels, left, layer.shape[1], layer.outside, out + row * width)
        return out

    @_run.register
    def _(self, layer: PReLU, x: np.ndarray) -> int:
        slopes = self._struct("PHbb", self._array(layer.slopes, np.int8), x.shape[2], *layer.shifts)
        out = self._room(x.size)
        self._call("hq_prelu_row", slopes, self._array(x, np.int8), x.size // x.shape[2], out)
        return out

    @_run.register
    def _(self, layer: Add, *inputs: np.ndarray) -> int:
        a, b = inputs[:2]
        out = self._room(a.size)
        if len(inputs) > 2:
            pointers = self._struct("P" * len(inputs), *(self._array(x, np.int8) for x in inputs))
            scales = self._array(np.array(layer.scales), np.int32)
            many = self._struct("PBBhh", scales, len(inputs), layer.shift, layer.low, layer.high)
            self._call("hq_add_many", many, pointers, a.size, out)
            return out
        scales = self._struct("iiBhh", *layer.scales, layer.shift, layer.low, layer.high)
        self._call("hq_add", scales, self._array(a, np.int8), self._array(b, np.int8), a.size, out)
        return out

    def _gathered(self, layer: Convolution | Depthwise, x: np.ndarray) -> int:
        """One position at a time, as `image.layer_functions` writes it."""
        (rows, columns, outputs), inputs, size = layer.shape, layer.weights[..., 0].size, 2 if layer.is_wide else 1
        weights = self.machine.put(packing.pack(layer.weights.reshape(packing.packed_shape(layer)), layer.width))
        dense = self._struct("PPPhhh0PHH", weights, *self._output(layer), inputs, outputs)
        of = (
            *x.shape[1:],
            *layer.weights.shape[:2],
            layer.strides[1],
            layer.pads[1][0],
            *layer.dilation,
            layer.outside,
        )
        window, sums = self._struct("HHBBBBBBb", *of), self._room(4 * outputs)
        gathered, out = self._room(inputs), self._room(size * rows * columns * outputs)
        every = [self._array(row, np.int8) for row in x]
        for row in range(rows):
            under = [row * layer.strides[0] - layer.pads[0][0] + i for i in range(layer.reach[0])]
            pointers = self._struct("P" * len(under), *(every[i] if 0 <= i < len(every) else 0 for i in under))
            for column in range(columns):
                if isinstance(layer, Convolution):
                    self._call("hq_window_gather", window, pointers, column, gathered)
                    self._call(f"hq_dense_{layer.width.kernels.name}", dense, gathered, sums)
                else:
                    self._call("hq_window_sums", window, dense, pointers, column, sums)
                to = out + size * (row * columns + column) * outputs
                self._call("hq_dense_out_s16" if layer.is_wide else "hq_window_out_s8", dense, sums, to)
        return out

    def _conv(self, layer: Convolution | Depthwise, x: np.ndarray) -> int:
        packed = packing.pack(layer.weights, layer.width)
        weights = self.machine.put(
            channels.packed_pairs(layer, packed).tobytes() if channels.has_pairs(layer) else packed
        )
        window = (*layer.weights.shape[:2], layer.strides[1], layer.pads[1][0], layer.outside)
        shape = (*x.shape[1:], *layer.shape[1:])
        return self._struct("PPPhhh0PHHHHHBBBBb", weights, *self._output(layer), *shape, self._tile, *window)

    def _output(self, layer: Convolution | Depthwise | Dense) -> tuple[int, ...]:
        by = layer.out
        if channels.has_pairs(layer):
            return 0, 0, by.low, by.high, by.zero
        multipliers, shifts = channels.packed_factors(layer)
        factors = np.stack([channels.packed_bias(layer), multipliers], axis=1)
        return self._array(factors, np.int32), self._array(shifts, np.uint8), by.low, by.high, by.zero

    def _window(self, layer: MaxPool, x: np.ndarray) -> int:
        of = (*x.shape[1:], *layer.window, layer.strides[1], layer.pads[1][0], 1, 1, 0)
        return self._struct("HHBBBBBBb", *of)

    def _rows(
        self,
        layer: Any,
        x: np.ndarray,
        window: tuple[int, ...],
        kernel: str,
        what: int,
        *more: int,
        between: bool = False,
    ) -> int:
        """Row after row of the output, as a network that runs depth first would ask for them.

        between: its arguments are the rows, the columns of the output, what there is more, and the output.
        """
        rows = [self._array(row, np.int8) for row in x]
        width = int(np.prod(layer.shape[1:]))
        out = self._room(layer.shape[0] * width)
        above = layer.pads[0][0] if hasattr(layer, "pads") else 0
        for row in range(layer.shape[0]):
            under = [row * layer.strides[0] - above + i for i in range(window[0])]
            pointers = self._struct("P" * window[0], *(rows[i] if 0 <= i < len(rows) else 0 for i in under))
            rest = (layer.shape[1], *more, out + row * width) if between else (out + row * width, *more)
            self._call(kernel, what, pointers, *rest)
        return out

    def _call(self, name: str, *arguments: int) -> int:
        found, instructions = self.machine.call(name, *arguments)
        self.instructions += instructions
        return found

    def _struct(self, fields: str, *values: int) -> int:
        """As the compiler lays it out: to the end padded for its first field, the widest in all of them."""
        fields += "0" + fields[0]
        return self.machine.put(struct.pack("@" + fields.replace("P", self.machine.pointer), *values))

    def _array(self, values: np.ndarray, kind: type) -> int:
        data = np.ascontiguousarray(values).astype(kind).tobytes()
        return self.machine.put(data + bytes(-len(data) % 4))

    def _room(self, count: int) -> int:
        return self.machine.put(b"\x7f" * (count + -count % 4))

    def _taken(self, address: int, shape: tuple[int, ...], kind: type) -> np.ndarray:
        count = int(np.prod(shape)) * np.dtype(kind).itemsize
        return np.frombuffer(self.machine.take(address, count), kind).reshape(shape)
