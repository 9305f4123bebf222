"""Silence, the class of a spotter that hears no word: pieces of background recordings, at any level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.int16]  # (samples,)

PARTS = {"training": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0), "all": (0.0, 1.0)}
"""Where in a background recording the silence of a split comes from, as shares of its length: none is heard twice."""
LEVEL_DB = (-50.0, 0.0)
"""Against the level of the recording."""
STILL = 0.1
"""Share of the pieces without any sound."""
WHITE = 3000.0
"""Level (RMS, of 32,768) of the white noise that stands in where there are no recordings."""
MADE_BY = [PARTS, LEVEL_DB, STILL, WHITE]
"""What decides how a piece sounds, for the key of a cache."""


def part_of(recording: Sound, split: str) -> Sound:
    """The part of a background recording that a split hears."""
    first, last = PARTS[split]
    return recording[round(first * len(recording)) : round(last * len(recording))]


def made_silence(recordings: Sequence[Sound], samples: int, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """So many pieces (count, samples), each from a place of its own at a level of its own.

    A recording that is shorter than a piece is repeated; without recordings it is white noise.
    """
    pieces = np.zeros((count, samples), np.int16)
    for piece in pieces:
        if recordings:
            whole = recordings[int(rng.integers(len(recordings)))]
            if len(whole) < samples:
                whole = np.resize(whole, samples)
            start = int(rng.integers(len(whole) - samples + 1))
            sound = whole[start : start + samples].astype(np.float32)
        else:
            sound = rng.standard_normal(samples, np.float32) * WHITE
        gain = 10 ** (rng.uniform(*LEVEL_DB) / 20) * (rng.random() >= STILL)
        piece[:] = np.clip(np.rint(sound * gain), -32768, 32767)
    return pieces
