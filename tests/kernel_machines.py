"""What the C kernels run on: this machine, this machine under the sanitizers, the emulated Cortex-M4."""

from __future__ import annotations

import copy
import ctypes
import re
import struct
import subprocess
from pathlib import Path

from network_runs import SANITIZERS

from hybridq.image import toolchain
from hybridq.image.emulator import Board

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
typedef int Kernel(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
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
            int64_t with[7] = {0};
            for (int64_t i = 0; i < size; i++) {
                with[i] = number();
            }
            answer(((Kernel *)kernels[first])(with[0], with[1], with[2], with[3], with[4], with[5], with[6]));
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

    def __init__(self, folder: Path, compiler: toolchain.Compiler, flags: tuple[str, ...] = ()) -> None:
        self.name = compiler.name
        kept = ",".join(f"(void (*)(void)){name}" for name in NAMES)
        main = folder / "main.c"
        main.write_text(
            f'#include "hq_kernels.h"\nvoid (*const volatile kernels[])(void) = {{{kept}}};\n'
            "int main(void)\n{\n    return kernels[0] == 0;\n}\n"
        )
        self.elf = toolchain.build_image(compiler, [main, *KERNELS], folder / f"{compiler.name}.elf", flags)
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
