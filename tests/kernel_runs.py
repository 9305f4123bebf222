"""Run the C kernels, layer by layer, on one of `kernel_machines`: what tests of them share."""

from __future__ import annotations

import struct
from functools import singledispatchmethod
from typing import Any

import numpy as np
from kernel_machines import Machine

from hybridq.image import packing
from hybridq.integer.arithmetic import is_logits
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
        logits = isinstance(layer, Dense) and is_logits(layer.out)
        return self._taken(out, layer.shape, np.int16 if logits else np.int8)

    def argmax(self, logits: np.ndarray) -> int:
        self.machine.clear()
        return self._call("hq_argmax", self._array(logits, np.int16), len(logits))

    @singledispatchmethod
    def _run(self, layer: Layer, *inputs: np.ndarray) -> int:
        raise NotImplementedError(type(layer).__name__)

    @_run.register
    def _(self, layer: Convolution, x: np.ndarray) -> int:
        kernel = f"hq_conv_{layer.width.kernels.name}_row"
        scratch = self._room(packing.scratch_bytes(layer, self._tile))
        return self._rows(layer, x, layer.weights.shape[:2], kernel, self._conv(layer, x), scratch)

    @_run.register
    def _(self, layer: Depthwise, x: np.ndarray) -> int:
        return self._rows(layer, x, layer.weights.shape[:2], "hq_depthwise_row", self._conv(layer, x))

    @_run.register
    def _(self, layer: MaxPool, x: np.ndarray) -> int:
        pool = self._struct("HHBBB", layer.shape[1], layer.shape[2], *layer.window, layer.strides[1])
        return self._rows(layer, x, layer.window, "hq_maxpool_row", pool)

    @_run.register
    def _(self, layer: Dense, x: np.ndarray) -> int:
        inputs, outputs = layer.weights.shape
        weights = self.machine.put(packing.pack(layer.weights, layer.width))
        sums, out = self._room(4 * outputs), self._room((2 if is_logits(layer.out) else 1) * outputs)
        dense = self._struct("PPPhh0PHH", weights, *self._output(layer), inputs, outputs)
        self._call(f"hq_dense_{layer.width.kernels.name}", dense, self._array(x, np.int8), sums)
        if layer.out.doublings:
            self._call("hq_dense_doubled", dense, layer.out.doublings, sums)
        self._call(f"hq_dense_out_s{16 if is_logits(layer.out) else 8}", dense, sums, out)
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
    def _(self, layer: Add, a: np.ndarray, b: np.ndarray) -> int:
        out = self._room(a.size)
        scales = self._struct("iiBhh", *layer.scales, layer.shift, layer.low, layer.high)
        self._call("hq_add", scales, self._array(a, np.int8), self._array(b, np.int8), a.size, out)
        return out

    def _conv(self, layer: Convolution | Depthwise, x: np.ndarray) -> int:
        weights = self.machine.put(packing.pack(layer.weights, layer.width))
        window = (*layer.weights.shape[:2], layer.strides[1], layer.pads[1][0])
        shape = (*x.shape[1:], *layer.shape[1:])
        return self._struct("PPPhh0PHHHHHBBBB", weights, *self._output(layer), *shape, self._tile, *window)

    def _output(self, layer: Convolution | Depthwise | Dense) -> tuple[int, ...]:
        by, count = layer.out, layer.shape[-1]
        channels = np.stack([packing.packed_bias(layer), np.broadcast_to(by.multiplier, count)], axis=1)
        shifts = self._array(np.broadcast_to(by.shift + by.doublings, count), np.uint8)
        return self._array(channels, np.int32), shifts, by.low, by.high

    def _rows(self, layer: Any, x: np.ndarray, window: tuple[int, ...], kernel: str, what: int, *more: int) -> int:
        """Row after row of the output, as a network that runs depth first would ask for them."""
        rows = [self._array(row, np.int8) for row in x]
        width = int(np.prod(layer.shape[1:]))
        out = self._room(layer.shape[0] * width)
        above = layer.pads[0][0] if hasattr(layer, "pads") else 0
        for row in range(layer.shape[0]):
            under = [row * layer.strides[0] - above + i for i in range(window[0])]
            pointers = self._struct("P" * window[0], *(rows[i] if 0 <= i < len(rows) else 0 for i in under))
            self._call(kernel, what, pointers, out + row * width, *more)
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
