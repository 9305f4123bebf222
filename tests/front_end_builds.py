"""Builds of the front end in C: in this process, as a program, and on an emulated Cortex-M4F."""

import ctypes
import tempfile
from pathlib import Path

import numpy as np
import pytest

from hybridq.image import emulator, toolchain
from hybridq.runs.verify import matrix
from hybridq.speech.c_front_end import SOURCES, sources
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation

FRACTION = 5
STRICT = "-ffp-contract=off -Wdouble-promotion -Wpedantic -Wshadow"

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

# An image whose functions the emulator calls.
IMAGE = """
#include "hq_mfcc.h"
hq_mfcc state;
hq_mfcc_work work;
int16_t sound[1 << 14];
int8_t columns[HQ_MFCC_COEFFICIENTS][HQ_MFCC_FRAMES];
__attribute__((noinline)) void start(void) { hq_mfcc_init(&state, &work); }
__attribute__((noinline)) int push(size_t count) { return hq_mfcc_push(&state, sound, count); }
__attribute__((noinline)) void rows(void)
{
    for (uint32_t k = 0; k < HQ_MFCC_COEFFICIENTS; k++)
        hq_mfcc_row(&state, k, columns[k]);
}
int main(void)
{
    start();
    push(0);
    rows();
    return 0;
}
"""


def written(text: str, files: dict[str, str], folder: Path) -> list[Path]:
    """The C files of a front end and `text`, which uses or includes it."""
    for name, content in {**files, "main.c": text}.items():
        (folder / name).write_text(content)
    ours = [] if '"hq_mfcc.c"' in text else [SOURCES / "hq_mfcc.c"]
    return [folder / "main.c", folder / "hq_mfcc_tables.c", *ours]


def flags(folder: Path) -> tuple[str, ...]:
    return (*STRICT.split(), f"-I{SOURCES}", f"-I{folder}")


def build(text: str, files: dict[str, str], folder: Path, *more: str) -> Path:
    """The C code of a front end and `text`, for this machine."""
    compiler = toolchain.host()
    if compiler is None:
        pytest.skip("no C compiler")
    return compiler.build(written(text, files, folder), folder / "made", (*flags(folder), *more))


def plain(end: FrontEnd) -> Normalisation:
    """About what the coefficients of speech are: enough to see where int8 ends."""
    k = np.arange(end.coefficients)
    return Normalisation(tuple(-300.0 / (1 + k) ** 2), tuple(80.0 / (1 + k) ** 0.8))


def hostile(count: int) -> dict[str, np.ndarray]:
    """Sounds of so many samples, by name."""
    i, rng = np.arange(count), np.random.default_rng(0)
    sounds = {
        "silence": 0 * i,
        "highest": 0 * i + 32767,
        "lowest": 0 * i - 32768,
        "fastest square": np.where(i % 2, 32767, -32768),
        "square": np.where(i // 8 % 2, 32767, -32768),
        "slow square": np.where(i // 80 % 2, 32767, -32768),
        "click": 32767 * (i == 5000),
        "clicks": -32768 * (i % 1000 == 0),
        "noise": rng.integers(-32768, 32768, count),
        "coins": np.where(rng.random(count) < 0.5, -32768, 32767),
        "last bit": rng.integers(-1, 2, count),
        "tone": 32767 * np.sin(0.3 * i),
        "tone on a bin": 32767 * np.sin(2 * np.pi * i / 8),
        "sweep": 32767 * np.sin(1e-4 * i * i),
    }
    return {name: np.asarray(sound).astype(np.int16) for name, sound in sounds.items()}


class OnHost:
    """A front end in C, in this process."""

    def __init__(self, end: FrontEnd, normalisation: Normalisation, fraction: int = FRACTION) -> None:
        self.end, self.normalisation, self.fraction = end, normalisation, fraction
        folder = Path(tempfile.mkdtemp(dir=LIBRARIES.name))
        files = sources(end, normalisation, fraction)
        made = build(PROBE, files, folder, "-O2", "-fPIC", "-shared")
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


class OnBoard:
    """The same front end on the emulated Cortex-M4F."""

    def __init__(self, ours: OnHost, compiler: str, optimised: str, folder: Path) -> None:
        pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
        pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
        chosen = toolchain.cortex_m4().get(compiler)
        if chosen is None:
            pytest.skip(f"{compiler} for the Cortex-M4 is not installed")
        main, *others = written(IMAGE, sources(ours.end, ours.normalisation, ours.fraction), folder)
        elf = toolchain.build_image(chosen, [main, *others], folder / "image.elf", (*flags(folder), optimised))
        self.board = emulator.Board(elf, counting=True)
        self.board.run()

    def push(self, samples: np.ndarray) -> int:
        self.board.write(self.board.symbols["sound"].address, samples.tobytes())
        return self.board.call("push", len(samples))

    def read(self, name: str) -> bytes:
        symbol = self.board.symbols[name]
        return self.board.read(symbol.address, symbol.bytes)
