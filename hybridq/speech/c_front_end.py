"""The front end as C: the code in c/, and the tables that make it one front end.

The C code computes what `mfcc.FrontEnd` and `normalisation.Normalisation` define, in single precision. Its tables are
computed here, in double precision, and are small by symmetry: half the window, a quarter of the Fourier transform's
sine, the flanks of the mel triangles as straight lines, one turn of the DCT's cosine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation

Reals = NDArray[np.float64]

SOURCES = Path(__file__).parent / "c"  # the front end (hq_mfcc) and what joins it to a network (hybridq)
FULL_SCALE = 32768  # the int16 sample that stands for 1
USAGE = """\
#include "hybridq.h"

hybridq_init();
if (hybridq_push_audio(samples, count) > 0) {{          /* int16, {rate} Hz, mono, any count */
    int16_t logits[HYBRIDQ_CLASSES];
    const char *word = hybridq_labels[hybridq_classify(logits)];
}}"""


@dataclass(frozen=True)
class CFrontEnd:
    """The front end of a keyword spotter as `hybridq.image.front_end.FrontEnd` wants it; int16 sound goes in.

    fraction: the columns, int8, stand for value * 2**-fraction.
    """

    end: FrontEnd
    normalisation: Normalisation
    fraction: int
    title = "A keyword spotter"
    notes = "Keep `-ffp-contract=off`: with it the front end gives the same bits everywhere.\n\n"

    @property
    def usage(self) -> str:
        """How a program calls it."""
        return USAGE.format(rate=self.end.sample_rate)

    @property
    def defines(self) -> dict[str, int]:
        """The sample rate in Hz, and the samples of which the input is made."""
        return {"SAMPLE_RATE": self.end.sample_rate, "INPUT_SAMPLES": self.end.samples}

    @property
    def sources(self) -> dict[str, str]:
        """All C files by name. UserError where the device's floats do not hold the front end."""
        code = {file.name: file.read_text() for file in sorted(SOURCES.glob("*.[ch]"))}
        return code | sources(self.end, self.normalisation, self.fraction)

    @property
    def program(self) -> str:
        """A main.c that classifies silence."""
        return (SOURCES / "bench" / "main.c").read_text()

    @property
    def hop(self) -> int:
        """Samples from one column to the next."""
        return self.end.hop

    def columns(self, samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
        """The samples (n,) cut where each completes a column."""
        return np.split(samples, range(self.end.window, len(samples), self.end.hop))

    def flash(self, constants: Mapping[str, int]) -> dict[str, int]:
        """Its tables, in bytes, of constants by name."""
        tables = sum(count for name, count in constants.items() if name.startswith("hq_mfcc"))
        return {"tables of the front end": tables}

    def ram(self, variables: Mapping[str, int]) -> dict[str, int]:
        """Its buffers, in bytes."""
        return {
            "FIFO of columns": self.end.coefficients * self.end.frames,
            "samples of the window": 2 * self.end.window,
            "block of samples from the microphone": variables["bench_block"],
        }


@dataclass(frozen=True)
class Flanks:
    """The mel filters as straight lines between neighbouring corners, band by band and one more; see hq_mfcc_tables.h.

    first_bin: of the first flank; bins, height, step: (bands + 1,); areas: (bands,), the weight of a filter's peak.
    """

    first_bin: int
    bins: NDArray[np.int64]
    height: Reals
    step: Reals
    areas: Reals

    @classmethod
    def of(cls, end: FrontEnd) -> Flanks:
        """The flanks of a front end's mel bands; UserError where these are too narrow for a float."""
        from librosa import mel_frequencies

        hertz = mel_frequencies(n_mels=end.mel_bands + 2, fmin=end.low_hz, fmax=end.high_hz)
        if np.any(np.diff(hertz) <= 0):
            raise UserError(f"features.low_hz and features.high_hz are too close for {end.mel_bands} mel bands")
        corners = hertz * end.transform / end.sample_rate  # in bins
        # The bins at 0 Hz and at half the sample rate lie on the outermost corners or beyond: their weight is 0.
        first = np.clip(np.ceil(corners).astype(np.int64), 1, end.transform // 2)
        widths = np.diff(corners)
        return cls(
            first_bin=int(first[0]),
            bins=np.diff(first),
            height=np.clip((first[:-1] - corners[:-1]) / widths, 0, 1),
            step=1 / widths,
            areas=2 / (hertz[2:] - hertz[:-2]),
        )


def sources(end: FrontEnd, normalisation: Normalisation, fraction: int) -> dict[str, str]:
    """The two files that make hq_mfcc.c this front end, by name: its sizes and its tables.

    The int8 columns stand for value * 2**-fraction. UserError where the device's floats do not hold the front end.
    """
    smallest = float(np.finfo(np.float32).tiny)
    if end.floor < smallest:
        raise UserError(f"features.floor: must be at least {smallest:.3g} on a device (is {end.floor:g})")
    flanks = Flanks.of(end)
    config = "".join(f"#define HQ_MFCC_{name} {value}\n" for name, value in _sizes(end, flanks).items())
    tables = [
        _table("float hq_mfcc_window[]", _window(end)),
        _table("float hq_mfcc_sine[]", _cosine(end.transform)[end.transform // 4 :: -1]),
        _table("hq_mfcc_flank hq_mfcc_flanks[]", flanks.height, flanks.step, flanks.bins),
        _table("float hq_mfcc_areas[]", flanks.areas),
        _table("float hq_mfcc_cosine[]", _cosine(4 * end.mel_bands)),
        _table("float hq_mfcc_standard[][2]", *_standard(end, normalisation, fraction)),
    ]
    return {
        "hq_mfcc_config.h": f"#ifndef HQ_MFCC_CONFIG_H\n#define HQ_MFCC_CONFIG_H\n\n{config}\n#endif\n",
        "hq_mfcc_tables.c": '#include "hq_mfcc_tables.h"\n\n' + "\n".join(tables),
    }


def _sizes(end: FrontEnd, flanks: Flanks) -> dict[str, Any]:
    return {
        "WINDOW": end.window,
        "HOP": end.hop,
        "TRANSFORM": end.transform,
        "BANDS": end.mel_bands,
        "COEFFICIENTS": end.coefficients,
        "FRAMES": end.frames,
        "FIRST_BIN": flanks.first_bin,
        "FLOOR": _number(end.floor),
    }


def _window(end: FrontEnd) -> Reals:
    """Half the Hann window, with the sample's scale and the 1/2 that `powers` in hq_mfcc.c leaves to it."""
    turn = 2 * np.pi * np.arange(end.window // 2 + 1) / end.window
    values: Reals = (0.5 - 0.5 * np.cos(turn)) / (2 * FULL_SCALE)
    return values


def _cosine(turn: int) -> Reals:
    """A turn of the cosine in so many steps; its zeros are exact."""
    steps = np.arange(turn)
    values: Reals = np.where(4 * steps % (2 * turn) == turn, 0.0, np.cos(2 * np.pi * steps / turn))
    return values


def _standard(end: FrontEnd, normalisation: Normalisation, fraction: int) -> tuple[Reals, Reals]:
    """Scale and offset of each coefficient: of the DCT, of the decibel from log2, of mean and deviation, of int8."""
    mean, deviation = normalisation.mean, normalisation.deviation
    if not len(mean) == len(deviation) == end.coefficients or not all(one > 0 for one in deviation):
        raise UserError(f"normalisation: must be {end.coefficients} means, and as many deviations above 0")
    orthonormal = np.where(np.arange(end.coefficients) == 0, np.sqrt(1 / end.mel_bands), np.sqrt(2 / end.mel_bands))
    unit = 2.0**fraction / np.asarray(deviation)
    return orthonormal * 10 * np.log10(2) * unit, -np.asarray(mean) * unit


def _table(declaration: str, *columns: NDArray[Any]) -> str:
    """A constant array in C; an entry of several columns in braces."""
    rows = [", ".join(map(_number, row)) for row in zip(*columns, strict=True)]
    if len(columns) > 1:
        rows = [f"{{{row}}}" for row in rows]
    return f"const {declaration} = {{\n" + "".join(f"    {row},\n" for row in rows) + "};\n"


def _number(value: Any) -> str:
    """A number in C: shortest decimals that give the same float. With finite ones the device meets no NaN."""
    if isinstance(value, np.integer):
        return str(value)
    if not abs(value) <= np.finfo(np.float32).max:
        raise UserError(f"the front end and its normalisation need {value:g}, which no float of the device holds")
    return np.format_float_scientific(np.float32(value), unique=True, trim="0") + "f"
