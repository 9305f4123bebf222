"""Training sounds, different in every epoch: shifted, said differently, louder or softer, in noise.

A random stream is made from (seed, epoch), so that an epoch is the same however the run came to it: from the start,
or resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hybridq.speech.settings import AugmentSettings

Floats = NDArray[np.float32]

QUIET = 1e-4  # the level (RMS) that a silent clip is taken to have, so that noise stays finite
TRACTS = 21  # lengths of the vocal tract that are drawn from: each needs a filter bank of its own
HISS = 2**20  # samples of white noise, drawn once: to draw it anew costs more than all else that is done to a clip


@dataclass(frozen=True)
class Manner:
    """How each of some clips is said: factors (clips,) of speed, of tempo, and of the vocal tract's length."""

    speed: NDArray[Any]
    tempo: NDArray[Any]
    tract: NDArray[Any]

    @classmethod
    def drawn(cls, settings: AugmentSettings, count: int, rng: np.random.Generator) -> Manner:
        """Uniform in `speed`, `tempo`, `pitch_semitones` and `vocal_tract`; pitch is speed without its tempo."""
        speed, tempo = (rng.uniform(*limits, count) for limits in (settings.speed, settings.tempo))
        pitch = 2 ** (rng.uniform(*settings.pitch_semitones, count) / 12)
        tract = rng.choice(np.linspace(*settings.vocal_tract, TRACTS), count)
        return cls(speed * pitch, tempo / pitch, tract)


def highest_tempo(settings: AugmentSettings) -> float:
    """The largest `tempo` of a Manner that is drawn with these settings."""
    return float(settings.tempo[1] * 2 ** (-settings.pitch_semitones[0] / 12))


def centred(sounds: NDArray[np.int16], samples: int) -> Floats:
    """The middle `samples` of each clip (clips, n), as floats in [-1, 1): what evaluation hears."""
    start = (sounds.shape[1] - samples) // 2
    return sounds[:, start : start + samples].astype(np.float32) / np.float32(32768)


def augmented(
    sounds: NDArray[np.int16],
    noise: Sequence[NDArray[np.int16]],
    samples: int,
    settings: AugmentSettings,
    sample_rate: int,
    speeds: NDArray[Any],
    rng: np.random.Generator,
) -> Floats:
    """A random variant of each clip (clips, n), shape (clips, samples), in this order:

    1. crop at the centre plus a shift of at most `shift_ms`, played at its own of the `speeds` (clips,) (pitch and
       tempo together, by linear interpolation); zeros where the crop leaves the clip;
    2. gain, uniform in `gain_db`;
    3. with `noise_probability`, a random piece of background noise, `noise_snr_db` under the clip's level;
    4. white noise `hiss_db` under the clip's level: real microphones never give the digital zeros of padded clips.
    """
    most = round(settings.shift_ms * sample_rate / 1000)
    out = _cropped(sounds, samples, rng.integers(-most, most + 1, len(sounds)), speeds)
    count = len(out)
    out *= _decibel(rng.uniform(*settings.gain_db, count))
    level = np.maximum(np.sqrt(np.mean(np.square(out), axis=1, keepdims=True)), QUIET)
    if noise:
        snr = rng.uniform(*settings.noise_snr_db, count)
        chosen = rng.random(count) < settings.noise_probability
        for i in np.flatnonzero(chosen):
            out[i] += _piece(noise, samples, rng) * (level[i] * 10 ** (-snr[i] / 20))
    if settings.hiss_db is not None:
        hiss = level * _decibel(-rng.uniform(*settings.hiss_db, count))
        for row, loud, start in zip(out, hiss, rng.integers(0, HISS - samples, count), strict=True):
            row += _white()[start : start + samples] * loud
    return out


def mixed(
    sounds: Floats, targets: Floats, settings: AugmentSettings, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Sounds (clips, samples) and targets (clips, words), each mixed with those of another clip of the same batch.

    The shares are drawn from Beta(mixup, mixup), as in arXiv 1710.09412; nothing is mixed where `mixup` is 0.
    """
    if not settings.mixup:
        return sounds, targets
    share = rng.beta(settings.mixup, settings.mixup, (len(sounds), 1)).astype(np.float32)
    other = rng.permutation(len(sounds))
    out = np.empty_like(sounds)
    for row, mine, its, own in zip(out, sounds, other, share, strict=True):  # a clip at a time stays in the cache
        np.multiply(mine, own, out=row)
        row += (1 - own) * sounds[its]
    return out, share * targets + (1 - share) * targets[other]


def masked(features: Floats, settings: AugmentSettings, rng: np.random.Generator) -> Floats:
    """Standardised features (clips, coefficients, frames), random blocks of frames and of coefficients zeroed.

    There are `time_masks` and `frequency_masks` of them, which may overlap, each at most `time_mask` frames or
    `frequency_mask` coefficients wide (SpecAugment, arXiv 1904.08779); zero is the training set's mean. In place.
    """
    frames, coefficients = (2, settings.time_mask), (1, settings.frequency_mask)
    for axis, widest in [frames] * settings.time_masks + [coefficients] * settings.frequency_masks:
        if widest:
            size = features.shape[axis]
            width = rng.integers(0, min(widest, size) + 1, len(features))
            first = rng.integers(0, size - width + 1)
            place = np.arange(size)
            hidden = (place >= first[:, None]) & (place < (first + width)[:, None])
            features[np.broadcast_to(np.expand_dims(hidden, 3 - axis), features.shape)] = 0
    return features


def _cropped(sounds: NDArray[np.int16], samples: int, shifts: NDArray[Any], speeds: NDArray[Any]) -> Floats:
    """What `np.interp` gives for each clip, to the last bit; without its search for places that lie evenly."""
    length = sounds.shape[1]
    steps = np.arange(samples, dtype=np.float64) - samples // 2
    rises = np.zeros(length)
    out = np.zeros((len(sounds), samples), np.float32)
    for row, clip, middle, speed in zip(out, sounds, length // 2 + shifts, speeds, strict=True):
        place = speed * steps + middle
        inside = slice(np.searchsorted(place, 0), np.searchsorted(place, length - 1, "right"))
        place = place[inside]
        before = place.astype(np.int32)
        sound = clip.astype(np.float64)
        np.subtract(sound[1:], sound[:-1], out=rises[:-1])
        place -= before
        place *= rises.take(before, mode="clip")  # its places are inside; "clip" spares numpy the look
        place += sound.take(before, mode="clip")
        row[inside] = place
    out /= 32768
    return out


@cache
def _white() -> Floats:
    """White noise of level (RMS) 1, from which each clip takes a stretch; the same in every run."""
    return np.random.default_rng(0).standard_normal(HISS, np.float32)


def _piece(noise: Sequence[NDArray[np.int16]], samples: int, rng: np.random.Generator) -> Floats:
    """A random stretch of noise at level (RMS) 1; a shorter recording is repeated."""
    whole = noise[int(rng.integers(len(noise)))]
    if len(whole) < samples:
        whole = np.resize(whole, samples)
    start = rng.integers(0, len(whole) - samples + 1)
    piece = whole[start : start + samples].astype(np.float32) / np.float32(32768)
    piece /= max(float(np.sqrt(np.mean(np.square(piece)))), QUIET)
    return piece


def _decibel(decibel: NDArray[Any]) -> Floats:
    factor: Floats = (10 ** (decibel / 20)).astype(np.float32)[:, None]
    return factor
