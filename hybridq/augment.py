"""Training sounds, different in every epoch: shifted, louder or softer, in noise.

A random stream is made from (seed, epoch), so that an epoch is the same however the run came to it: from the start,
or resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hybridq.settings import AugmentSettings

Floats = NDArray[np.float32]

QUIET = 1e-4  # the level (RMS) that a silent clip is taken to have, so that noise stays finite


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
    rng: np.random.Generator,
) -> Floats:
    """A random variant of each clip (clips, n), shape (clips, samples), in this order:

    1. crop at the centre plus a shift of at most `shift_ms`, played at a speed uniform in `speed` (pitch and tempo
       together, by linear interpolation); zeros where the crop leaves the clip;
    2. gain, uniform in `gain_db`;
    3. with `noise_probability`, a random piece of background noise, `noise_snr_db` under the clip's level;
    4. white noise `hiss_db` under the clip's level: real microphones never give the digital zeros of padded clips.
    """
    most = round(settings.shift_ms * sample_rate / 1000)
    out = _cropped(
        sounds, samples, rng.integers(-most, most + 1, len(sounds)), rng.uniform(*settings.speed, len(sounds))
    )
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
        out += rng.standard_normal(out.shape, np.float32) * hiss
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
    return share * sounds + (1 - share) * sounds[other], share * targets + (1 - share) * targets[other]


def masked(features: Floats, settings: AugmentSettings, rng: np.random.Generator) -> Floats:
    """Standardised features (clips, coefficients, frames), one random block of frames and one of coefficients zeroed.

    The blocks are at most `time_mask` frames and `frequency_mask` coefficients wide (SpecAugment, arXiv 1904.08779);
    zero is the training set's mean. In place.
    """
    for axis, widest in ((2, settings.time_mask), (1, settings.frequency_mask)):
        if widest:
            size = features.shape[axis]
            width = rng.integers(0, min(widest, size) + 1, len(features))
            first = rng.integers(0, size - width + 1)
            place = np.arange(size)
            hidden = (place >= first[:, None]) & (place < (first + width)[:, None])
            features[np.broadcast_to(np.expand_dims(hidden, 3 - axis), features.shape)] = 0
    return features


def _cropped(sounds: NDArray[np.int16], samples: int, shifts: NDArray[Any], speeds: NDArray[Any]) -> Floats:
    length = sounds.shape[1]
    place = np.arange(length)
    crop = np.arange(samples) - samples // 2
    out = np.empty((len(sounds), samples), np.float32)
    for row, sound, middle, speed in zip(out, sounds, length // 2 + shifts, speeds, strict=True):
        row[:] = np.interp(middle + speed * crop, place, sound, left=0, right=0)
    out /= 32768
    return out


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
