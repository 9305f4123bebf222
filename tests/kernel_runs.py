"""Run the C kernels, layer by layer, on this machine or in the emulator: what tests of them share."""

from __future__ import annotations

import copy
import ctypes
import re
import struct
import subprocess
from functools import singledispatchmethod
from pathlib import Path
from typing import Any

import numpy as np
from network_runs import SANITIZERS

from hybridq.image import packing, toolchain
from hybridq.image.emulator import Board
from hybridq.integer.arithmetic import is_logits
from hybridq.integer.network import Add, AveragePool, Convolution, Dense, Depthwise, Layer, MaxPool

KERNELS = sorted(toolchain.SOURCES.glob("*.c"))
NAMES = re.findall(r"(hq_\w+)\(", (toolchain.SOURCES / "hq_kernels.h").read_text())


class Host:
    """The kernels as a shared library of this machine; every buffer is a piece of memory of its own."""

    name, pointer = "host", "P"

    def __init__(self, folder: Path) -> None:
        compiler = toolchain.host()
        assert compiler is not None
        library = compiler.build(KERNELS, folder / "kernels.so", ("-O2", "-shared", "-fPIC"))
        self._library = ctypes.CDLL(str(library))
        self._buffers: dict[int, ctypes.Array[ctypes.c_char]] = {}

    def clear(self) -> None:
        self._buffers.clear()

    def put(self, data: bytes) -> int:
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        address = ctypes.addressof(buffer)
        self._buffers[address] = buffer
        return address

    def take(self, address: int, count: int) -> bytes:
        return ctypes.string_at(address, count)

    def call(self, name: str, *arguments: int) -> tuple[int, int]:
        return int(getattr(self._library, name)(*(ctypes.c_ssize_t(value) for value in arguments))), 0


# Reads what to do with the kernels, and answers each with a number but for 't', with bytes: 'p' puts so many bytes into
# a buffer of its own, 'c' calls a kernel with so many arguments, 't' takes bytes, 'x' frees all buffers.
SERVER = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "hq_kernels.h"
typedef int Kernel(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
static void (*const kernels[])(void) = {KERNELS};
static void *buffers[1 << 16];
static int64_t number(void)
{
    int64_t value;
    if (fread(&value, sizeof value, 1, stdin) != 1) {
        exit(0);
    }
    return value;
}
static void answer(int64_t value)
{
    fwrite(&value, sizeof value, 1, stdout);
    fflush(stdout);
}
int main(void)
{
    size_t count = 0;
    for (;;) {
        const int64_t asked = number(), first = number(), size = number();
        if (asked == 'x') {
            while (count > 0) {
                free(buffers[--count]);
            }
        } else if (asked == 'p') {
            void *const buffer = buffers[count++] = malloc((size_t)size);
            if (fread(buffer, 1, (size_t)size, stdin) != (size_t)size) {
                return 1;
            }
            answer((intptr_t)buffer);
        } else if (asked == 't') {
            fwrite((const void *)(intptr_t)first, 1, (size_t)size, stdout);
            fflush(stdout);
        } else {
            int64_t with[6] = {0};
            for (int64_t i = 0; i < size; i++) {
                with[i] = number();
            }
            answer(((Kernel *)kernels[first])(with[0], with[1], with[2], with[3], with[4], with[5]));
        }
    }
}
"""


class Sanitized:
    """The kernels under the sanitizers, in a process that does as it is told; every buffer is between red zones."""

    name, pointer = "sanitized", "P"

    def __init__(self, folder: Path) -> None:
        (folder / "main.c").write_text(
            SERVER.replace("KERNELS", ", ".join(f"(void (*)(void)){name}" for name in NAMES))
        )
        gcc = toolchain.Compiler("gcc", ("gcc",))
        program = gcc.build([folder / "main.c", *KERNELS], folder / "kernels", SANITIZERS)
        self._report = folder / "report.txt"
        with self._report.open("wb") as report:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": report}
            self._process = subprocess.Popen([program], **pipes)

    def close(self) -> None:
        """Let the process end, and see that it ends well."""
        self._process.communicate()
        assert self._process.returncode == 0, self._report.read_text()[:3000]

    def clear(self) -> None:
        self._ask("x")

    def put(self, data: bytes) -> int:
        self._ask("p", 0, len(data), data)
        return self._number()

    def take(self, address: int, count: int) -> bytes:
        self._ask("t", address, count)
        return self._answer(count)

    def call(self, name: str, *arguments: int) -> tuple[int, int]:
        self._ask("c", NAMES.index(name), len(arguments), struct.pack(f"={len(arguments)}q", *arguments))
        return self._number(), 0

    def _ask(self, what: str, first: int = 0, size: int = 0, more: bytes = b"") -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(struct.pack("=3q", ord(what), first, size) + more)
        except BrokenPipeError:
            self._answer(1)

    def _number(self) -> int:
        return int(struct.unpack("=q", self._answer(8))[0])

    def _answer(self, count: int) -> bytes:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.flush()
        answer = self._process.stdout.read(count)
        assert len(answer) == count, self._report.read_text()[:3000]
        return answer


class Emulated:
    """The kernels in an image for the Cortex-M4; buffers lie one behind the other in its RAM."""

    pointer = "I"

    def __init__(self, folder: Path, compiler: toolchain.Compiler) -> None:
        self.name = compiler.name
        kept = ",".join(f"(void (*)(void)){name}" for name in NAMES)
        main = folder / "main.c"
        main.write_text(
            f'#include "hq_kernels.h"\nvoid (*const volatile kernels[])(void) = {{{kept}}};\n'
            "int main(void)\n{\n    return kernels[0] == 0;\n}\n"
        )
        self.elf = toolchain.build_image(compiler, [main, *KERNELS], folder / f"{compiler.name}.elf")
        self.board = Board(self.elf)
        self.clear()

    def counting(self) -> Emulated:
        """Another board with the same image, whose instructions are counted."""
        other = copy.copy(self)
        other.board = Board(self.elf, counting=True)
        return other

    def clear(self) -> None:
        self._next = self.board.free

    def put(self, data: bytes) -> int:
        address = (self._next + 3) & ~3
        self.board.write(address, data)
        self._next = address + len(data)
        return address

    def take(self, address: int, count: int) -> bytes:
        return self.board.read(address, count)

    def call(self, name: str, *arguments: int) -> tuple[int, int]:
        return self.board.call(name, *arguments), self.board.instructions


Machine = Host | Sanitized | Emulated


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
