"""Builds of the front end in C: in this process, as a program, and on an emulated Cortex-M4F."""

import ctypes
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from hybridq.dataset import Normalisation
from hybridq.deploy.front_end import SOURCES, matrix, sources
from hybridq.features import FrontEnd

FRACTION = 5
STRICT = "-ffp-contract=off -Wall -Wextra -Wconversion -Wdouble-promotion -Wpedantic -Wshadow -Werror"

# The loader knows a library by its inode, which a new file may have from a deleted one: none is deleted before the end.
LIBRARIES = tempfile.TemporaryDirectory()

# The C code with a view inside: the features before they are rounded, the logarithm, the size of the state.
PROBE = """
#include "hq_mfcc.c"
const size_t state_bytes = sizeof(hq_mfcc), work_bytes = sizeof(hq_mfcc_work);
void features_of(hq_mfcc *state, const int16_t *samples, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        if (hq_mfcc_push(state, samples + i, 1))
            for (uint32_t k = 0; k < COEFFICIENTS; k++)
                *out++ = coefficient(state->work->bands, k);
}
void logarithms(const float *x, float *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = log2_of(x[i]);
}
"""

# Reads pieces of sound, each behind its length, and writes the matrix after each.
STREAM = """
#include <stdio.h>
#include "hq_mfcc.h"
int main(void)
{
    static hq_mfcc state;
    static hq_mfcc_work work;
    static int16_t samples[1 << 16];
    static int8_t row[HQ_MFCC_FRAMES];
    uint32_t count;
    hq_mfcc_init(&state, &work);
    while (fread(&count, sizeof count, 1, stdin) == 1 && fread(samples, sizeof *samples, count, stdin) == count) {
        hq_mfcc_push(&state, samples, count);
        for (uint32_t k = 0; k < HQ_MFCC_COEFFICIENTS; k++) {
            hq_mfcc_row(&state, k, row);
            fwrite(row, 1, sizeof row, stdout);
        }
    }
    return 0;
}
"""

# An image without a start-up: the emulator calls its functions.
IMAGE = """
#include "hq_mfcc.h"
hq_mfcc state;
hq_mfcc_work work;
int16_t sound[1 << 14];
int8_t columns[HQ_MFCC_COEFFICIENTS][HQ_MFCC_FRAMES];
void start(void) { hq_mfcc_init(&state, &work); }
int push(size_t count) { return hq_mfcc_push(&state, sound, count); }
void rows(void)
{
    for (uint32_t k = 0; k < HQ_MFCC_COEFFICIENTS; k++)
        hq_mfcc_row(&state, k, columns[k]);
}
void *memset(void *to, int value, size_t count)
{
    for (volatile char *at = to; count > 0; count--)
        *at++ = (char)value;
    return to;
}
void *memcpy(void *to, const void *from, size_t count)
{
    volatile char *at = to;
    for (const char *other = from; count > 0; count--)
        *at++ = *other++;
    return to;
}
void *memmove(void *to, const void *from, size_t count) { return memcpy(to, from, count); }
void __aeabi_memclr(void *to, size_t count) { memset(to, 0, count); }
void __aeabi_memclr4(void *to, size_t count) { memset(to, 0, count); }
void __aeabi_memcpy(void *to, const void *from, size_t count) { memcpy(to, from, count); }
void __aeabi_memmove(void *to, const void *from, size_t count) { memcpy(to, from, count); }
"""
MEMORY = """
SECTIONS {
  . = 0x08000000; .text : { *(.text*) } .rodata : { *(.rodata*) }
  . = 0x20000000; .bss : { *(.bss*) *(COMMON) }
  /DISCARD/ : { *(.ARM.*) }
}
"""


def build(compiler: list[str], text: str, files: dict[str, str], folder: Path, *flags: str | Path) -> Path:
    """The C code of a front end and `text`, which uses or includes it."""
    for name, content in {**files, "main.c": text}.items():
        (folder / name).write_text(content)
    ours = [] if '"hq_mfcc.c"' in text else [SOURCES / "hq_mfcc.c"]
    # Full paths: with a relative -I, zig's cache gives one working folder what it made for another.
    inputs = [f"-I{SOURCES}", f"-I{folder}", folder / "main.c", folder / "hq_mfcc_tables.c", *ours]
    subprocess.run([*compiler, "-std=c99", *STRICT.split(), *inputs, *flags, "-o", folder / "made"], check=True)
    return folder / "made"


@functools.cache
def host_compiler() -> list[str]:
    found = shutil.which("cc")
    if not found:
        pytest.skip("no C compiler (cc) on this machine")
    return [found]


class OnHost:
    """A front end in C, in this process."""

    def __init__(self, end: FrontEnd, normalisation: Normalisation, fraction: int = FRACTION) -> None:
        self.end, self.normalisation, self.fraction = end, normalisation, fraction
        folder = Path(tempfile.mkdtemp(dir=LIBRARIES.name))
        files = sources(end, normalisation, fraction)
        made = build(host_compiler(), PROBE, files, folder, "-O2", "-fPIC", "-shared")
        self.library = ctypes.CDLL(str(made))

        def size(name: str) -> int:
            return ctypes.c_size_t.in_dll(self.library, name).value

        self.bytes = size("state_bytes"), size("work_bytes")
        self.state, self.work = map(ctypes.create_string_buffer, self.bytes)
        self.start()

    def start(self) -> None:
        self.library.hq_mfcc_init(self.state, self.work)

    def push(self, samples: np.ndarray) -> int:
        samples = np.ascontiguousarray(samples, np.int16)
        data, count = ctypes.c_void_p(samples.ctypes.data), ctypes.c_size_t(len(samples))
        return self.library.hq_mfcc_push(self.state, data, count)

    def matrix(self) -> np.ndarray:
        rows = np.empty(self.end.shape, np.int8)
        for k in range(self.end.coefficients):
            self.library.hq_mfcc_row(self.state, ctypes.c_uint32(k), ctypes.c_void_p(rows[k].ctypes.data))
        return rows

    def features(self, sound: np.ndarray) -> np.ndarray:
        """The standardised features (coefficients, columns) of a sound."""
        count = 1 + (len(sound) - self.end.window) // self.end.hop
        out = np.zeros((count, self.end.coefficients), np.float32)
        sound = np.ascontiguousarray(sound, np.int16)
        data, room = (ctypes.c_void_p(array.ctypes.data) for array in (sound, out))
        self.start()
        self.library.features_of(self.state, data, ctypes.c_size_t(len(sound)), room)
        return out.T / np.float32(2.0**self.fraction)

    def compare(self, sound: np.ndarray) -> tuple[float, np.ndarray]:
        """The largest difference from Python's features, and that of every stored integer."""
        theirs = self.normalisation.apply(self.end.mfcc(sound / np.float32(32768)))
        largest = float(np.abs(self.features(sound) - theirs).max())
        self.start()
        assert self.push(sound) >= self.end.frames
        expected = matrix(self.end, self.normalisation, self.fraction, sound)[:, -self.end.frames :]
        return largest, np.abs(self.matrix().astype(int) - expected)


class Board:
    """The Cortex-M4F of an STM32L496, whose floating-point unit is on in Unicorn; functions of an image are called."""

    STACK = 0x20050000

    def __init__(self, image: Path) -> None:
        unicorn, arm = pytest.importorskip("unicorn"), pytest.importorskip("unicorn.arm_const")
        elf = pytest.importorskip("elftools.elf.elffile").ELFFile(image.open("rb"))
        self.arm, self.machine = arm, unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.machine.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        self.machine.mem_map(0x08000000, 1 << 20)
        self.machine.mem_map(0x20000000, 320 << 10)
        for segment in elf.iter_segments():
            if segment["p_filesz"] and segment["p_type"] == "PT_LOAD":
                self.machine.mem_write(segment["p_paddr"], segment.data())
        symbols = elf.get_section_by_name(".symtab").iter_symbols()
        self.symbols = {symbol.name: (symbol["st_value"], symbol["st_size"]) for symbol in symbols}
        self.instructions, self.lowest = 0, self.STACK
        self.machine.hook_add(unicorn.UC_HOOK_BLOCK, self._block)

    def _block(self, machine: object, address: int, size: int, _: object) -> None:
        self.instructions += self._length(address, size)
        self.lowest = min(self.lowest, self.machine.reg_read(self.arm.UC_ARM_REG_SP))

    @functools.cache  # noqa: B019
    def _length(self, address: int, size: int) -> int:
        """The instructions of a block: those whose first five bits are 29 or more have four bytes, the others two."""
        halves, count, at = np.frombuffer(self.machine.mem_read(address, size), "<u2"), 0, 0
        while at < len(halves):
            at += 2 if halves[at] >> 11 >= 29 else 1
            count += 1
        return count

    def call(self, name: str, argument: int = 0) -> int:
        """What the function returns; counts its instructions, those that a condition skips too, and its stack."""
        back, self.instructions = 0x080FFFF0, 0
        for register, value in (("SP", self.STACK), ("LR", back | 1), ("R0", argument)):
            self.machine.reg_write(getattr(self.arm, f"UC_ARM_REG_{register}"), value)
        self.machine.emu_start(self.symbols[name][0] | 1, back)
        return self.machine.reg_read(self.arm.UC_ARM_REG_R0)

    def read(self, name: str) -> bytes:
        return bytes(self.machine.mem_read(*self.symbols[name]))

    def push(self, samples: np.ndarray) -> int:
        self.machine.mem_write(self.symbols["sound"][0], samples.tobytes())
        return self.call("push", len(samples))


def cortex_compiler(name: str) -> list[str]:
    """The command that compiles for the Cortex-M4F."""
    if name == "zig":
        pytest.importorskip("ziglang")
        target = "-target thumb-freestanding-eabihf -mcpu=cortex_m4+vfp4d16sp -fno-sanitize=undefined"
        return [sys.executable, "-m", "ziglang", "cc", *target.split(), "-Wno-unused-command-line-argument"]
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("no arm-none-eabi-gcc on this machine")
    target = "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -ffreestanding"
    return ["arm-none-eabi-gcc", *target.split()]


def on_board(ours: OnHost, compiler: str, optimised: str, folder: Path) -> Board:
    """The same front end on the Cortex-M4F."""
    (folder / "memory.ld").write_text(MEMORY)
    link = f"-nostdlib -g -Wl,-T,{folder}/memory.ld -Wl,--no-gc-sections -Wl,-e,start"
    files = sources(ours.end, ours.normalisation, ours.fraction)
    return Board(build(cortex_compiler(compiler), IMAGE, files, folder, optimised, *link.split()))
