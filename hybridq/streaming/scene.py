"""Long audio for a test: words in random order with gaps between them, over background noise, and what is said when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.paths import cache_root
from hybridq.speech.audio import UNKNOWN, AudioSet, read_clip
from hybridq.speech.audio.negatives import Negatives
from hybridq.speech.audio.silence import WHITE, part_of
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd

Sound = NDArray[np.int16]  # (samples,)
Signal = NDArray[np.float64]  # (samples,), full scale 32,768

SPLITS = ("validation", "test")
GAP = (1.5, 4.0)  # seconds from the end of a clip to the next
OTHERS = 0.5  # share of the clips that say another word, where the data set has such
FADE = 0.01  # seconds over which a clip and a piece of noise come and go
FRAME = 0.01  # seconds over which a level is measured
QUIET = 10  # percentile of the frames of a clip whose level is that of its own noise
WORD = (0.01, 0.99)  # share of the energy above that noise at which a word begins and ends


@dataclass(frozen=True)
class Speech:
    """The clips of a split: sounds (clips, samples) and their words, "" where nobody knows; the noise that it hears."""

    sounds: Sound
    words: tuple[str, ...]
    commands: tuple[str, ...]
    noise: tuple[Sound, ...]
    synthetic: bool


@dataclass(frozen=True)
class Utterance:
    """A word from `start` to `end` (samples); whether it is a command."""

    word: str
    start: int
    end: int
    command: bool


@dataclass(frozen=True)
class Scene:
    """Long audio, and all that is said in it, in order. `snr_db`: the level of every word over that of the noise."""

    sound: Sound
    utterances: tuple[Utterance, ...]
    snr_db: float
    sample_rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.sound) / self.sample_rate

    def truth(self) -> dict[str, Any]:
        """What is said when, as plain data."""
        times = {"snr_db": self.snr_db, "sample_rate": self.sample_rate, "seconds": self.seconds}
        return times | {"utterances": [asdict(one) for one in self.utterances]}


def speech(audio: AudioSet, commands: Sequence[str], split: str, end: FrontEnd) -> Speech:
    """What a split of a data set has to say, its other words as `hybridq.speech.audio.negatives` selects them.

    Raises UserError where it has no clip of a command.
    """
    mine = [word for word in commands if audio.select([word], split)]
    if not mine:
        raise UserError(f"{audio.name}: no {split} clips of {', '.join(commands)}")
    clips = Dataset(audio, [*mine, UNKNOWN], end, cache_root(), negatives=Negatives(unknown=1.0)).split(split)
    recordings = [read_clip(audio.root / path, end.sample_rate) * 32767 for path in audio.noise]
    noise = tuple(part_of(one.astype(np.int16), split) for one in recordings)
    return Speech(clips.sounds, clips.words, tuple(mine), noise, audio.synthetic)


def scene(clips: Speech, snr_db: float, seconds: float, rate: int, seed: int) -> Scene:
    """So many seconds of it. Words and places depend on the seed alone: they are the same at every SNR.

    Every word has the same level, the median of the clips'; the noise lies that much below it.
    """
    rng = np.random.default_rng(seed)
    command = np.isin(clips.words, clips.commands)
    chosen, at = [], rng.uniform(*GAP)
    length = clips.sounds.shape[1] / rate
    while at + length + GAP[0] <= seconds:
        from_others = not command.all() and rng.random() < OTHERS
        chosen.append((round(at * rate), int(rng.choice(np.flatnonzero(command != from_others)))))
        at += length + rng.uniform(*GAP)
    if not chosen:
        raise UserError(f"{seconds:g} seconds are too short to say a word in; take at least {length + sum(GAP):g}")
    spans = {clip: spoken(clips.sounds[clip], rate) for _, clip in chosen}
    levels = {clip: _level(clips.sounds[clip][slice(*span)]) for clip, span in spans.items()}
    usual = float(np.median(list(levels.values())))
    whole = _background(clips.noise, round(seconds * rate), rate, rng) * usual * 10 ** (-snr_db / 20)
    utterances = []
    for start, clip in chosen:
        sound = _faded(clips.sounds[clip], rate) * usual / levels[clip]
        whole[start : start + len(sound)] += sound
        first, last = (start + edge for edge in spans[clip])
        utterances.append(Utterance(clips.words[clip], first, last, bool(command[clip])))
    return Scene(np.clip(np.rint(whole), -32768, 32767).astype(np.int16), tuple(utterances), snr_db, rate)


def spoken(sound: Sound, rate: int) -> tuple[int, int]:
    """Where in a clip the word is, from and to (samples): the part with nearly all energy above the clip's own noise.

    An estimate, to a frame of 10 ms, of a clip of which a tenth is not the word; a soft end may be cut off.
    """
    size = max(1, round(FRAME * rate))
    frames = sound[: len(sound) // size * size].reshape(-1, size).astype(np.float64)
    energy = np.mean(np.square(frames), axis=1)
    above = np.cumsum(np.maximum(energy - np.percentile(energy, QUIET), 0))
    if not above[-1]:
        return 0, len(sound)
    first, last = np.searchsorted(above, above[-1] * np.array(WORD))
    return int(first) * size, (int(last) + 1) * size


def _background(recordings: Sequence[Sound], samples: int, rate: int, rng: np.random.Generator) -> Signal:
    """Noise of level 1: the recordings in random order, each from a random place; without any, white noise."""
    usable = [one for one in recordings if np.any(one)]
    noise = np.zeros(samples)
    at = 0
    while at < samples:
        if usable:
            one = usable[int(rng.integers(len(usable)))]
            piece = np.roll(one, int(rng.integers(len(one)))).astype(np.float64)
        else:
            piece = rng.standard_normal(rate) * WHITE
        piece = _faded(piece, rate)[: samples - at] / _level(piece)
        noise[at : at + len(piece)] = piece
        at += len(piece)
    return noise


def _faded(sound: NDArray[Any], rate: int) -> Signal:
    """With soft ends: an abrupt one would be a click."""
    faded = sound.astype(np.float64)
    ramp = np.linspace(0, 1, min(round(FADE * rate), len(faded) // 2))
    faded[: len(ramp)] *= ramp
    faded[len(faded) - len(ramp) :] *= ramp[::-1]
    return faded


def _level(sound: NDArray[Any]) -> float:
    """The root of the mean square, at least 1."""
    return max(1.0, float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))))
