"""Sound files and folders of them, for tests."""

import itertools
import os
from pathlib import Path

import numpy as np
import soundfile

from hybridq.errors import UserError
from hybridq.speech.audio import speaker_split

RATE = 16000


def tone(samples: int = RATE, rate: int = RATE, hz: float = 440.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(samples) / rate)).astype(np.float32)


def write(path: Path, wave: np.ndarray | None = None, rate: int = RATE, **kind: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(os.fsencode(path), tone() if wave is None else wave, rate, **kind)
    return path


def speakers_of(split: str, count: int) -> list[str]:
    """Names of speakers whom the rule puts into a split."""
    names = (f"{number:08x}" for number in itertools.count())
    return list(itertools.islice((name for name in names if speaker_split(name) == split), count))


def fill(root: Path, words: dict[str, int], split: str = "training", suffix: str = ".wav") -> Path:
    """Write so many clips of each word, of speakers of one split, each with a sound of its own."""
    level = 0.1
    for word, count in words.items():
        for speaker in speakers_of(split, count):
            level += 0.001
            write(root / word / f"{speaker}_nohash_0{suffix}", tone(200, level=level))
    return root


def assert_plain(error: UserError, path: Path) -> None:
    assert str(path) in str(error)
    assert "\n" not in str(error)
    assert error.exit_code == 2
