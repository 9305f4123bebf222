"""The front end: sound in, a coefficients x frames matrix of MFCC out.

One definition serves a batch, a single clip and a stream::

    frames    of `window` samples every `hop`, periodic Hann window
    power     |rfft(frame, n=transform)|^2, the frame zero-padded to the transform length
    mel       `mel_bands` triangles of Slaney's mel scale, area-normalised, from `low_hz` to `high_hz`
    decibel   10 log10(max(mel, floor))
    mfcc      the first `coefficients` of the orthonormal DCT-II over the bands

These are the numbers of `librosa.feature.mfcc` with `center=False, top_db=None`; a transform longer than the window
puts librosa's window in the middle of the frame, which moves the phase and not the power. There is no per-clip
normalisation and no clamp against the clip's maximum: a microcontroller that hears a stream could do neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError

if TYPE_CHECKING:
    from hybridq.settings import FeatureSettings

Floats = NDArray[np.float32]

CHUNK = 8  # clips transformed at once: their spectra stay in the processor's cache
LARGEST = 192_000  # of all lengths and counts: a second at the highest sample rate


@dataclass(frozen=True)
class FrontEnd:
    """The transform from samples to MFCC; lengths in samples, frequencies in Hz, `floor` a power.

    Raises UserError for one that cannot be: a recipe's is checked before, that of a trained network's file is not.
    """

    sample_rate: int = 16000
    window: int = 512
    hop: int = 256
    transform: int = 512
    coefficients: int = 38
    frames: int = 55
    mel_bands: int = 40
    low_hz: float = 20.0
    high_hz: float = 8000.0
    floor: float = 1e-6

    def __post_init__(self) -> None:
        counts = self.sample_rate, self.window, self.hop, self.transform, self.coefficients, self.frames, self.mel_bands
        if not all(isinstance(one, int) and 0 < one <= LARGEST for one in counts):
            raise UserError(f"front end: its lengths and counts must be integers from 1 to {LARGEST} (are {counts})")
        for holds, what in (
            (1 < self.window <= self.transform, f"window {self.window} must be 2 to transform, {self.transform}"),
            (self.transform.bit_count() == 1, f"transform {self.transform} must be a power of two"),
            (
                self.coefficients <= self.mel_bands,
                f"coefficients {self.coefficients} must be at most mel_bands, {self.mel_bands}",
            ),
            (
                0 <= self.low_hz < self.high_hz <= self.sample_rate / 2,
                f"low_hz {self.low_hz} and high_hz {self.high_hz} must rise from 0 to half of {self.sample_rate}",
            ),
            (self.floor > 0, f"floor {self.floor} must be above 0"),
        ):
            if not holds:
                raise UserError(f"front end: {what}")

    @classmethod
    def of(cls, settings: FeatureSettings) -> FrontEnd:
        """The front end that a recipe's `features` section describes."""
        return cls(**settings.model_dump(exclude={"normalisation"}))

    @property
    def samples(self) -> int:
        """Samples that one matrix of `frames` columns needs: (frames - 1) * hop + window."""
        return (self.frames - 1) * self.hop + self.window

    @property
    def shape(self) -> tuple[int, int]:
        """(coefficients, frames), the network's input without its channel."""
        return self.coefficients, self.frames

    @cached_property
    def window_values(self) -> Floats:
        """The periodic Hann window, shape (window,)."""
        turn = 2 * np.pi * np.arange(self.window) / self.window
        values: Floats = (0.5 - 0.5 * np.cos(turn)).astype(np.float32)
        return values

    @cached_property
    def mel_weights(self) -> Floats:
        """The mel filter bank, shape (transform // 2 + 1, mel_bands)."""
        from librosa.filters import mel

        bank = mel(
            sr=self.sample_rate,
            n_fft=self.transform,
            n_mels=self.mel_bands,
            fmin=self.low_hz,
            fmax=self.high_hz,
        )
        weights: Floats = np.ascontiguousarray(bank.T, dtype=np.float32)
        return weights

    @cached_property
    def dct_weights(self) -> Floats:
        """The orthonormal DCT-II, shape (mel_bands, coefficients), the factor 10 / ln 10 of the decibel included."""
        band, k = np.arange(self.mel_bands)[:, None], np.arange(self.coefficients)[None, :]
        basis = np.sqrt(2 / self.mel_bands) * np.cos(np.pi * k * (2 * band + 1) / (2 * self.mel_bands))
        basis[:, 0] /= np.sqrt(2)
        weights: Floats = (10 / np.log(10) * basis).astype(np.float32)
        return weights

    def mfcc(self, sound: NDArray[Any]) -> Floats:
        """MFCC of one sound (samples,) or a batch (clips, samples): (..., coefficients, frames that fit).

        Sound is float in [-1, 1]. Raises ValueError where not even one window fits.
        """
        batch = np.atleast_2d(np.asarray(sound, dtype=np.float32))
        count = 1 + (batch.shape[1] - self.window) // self.hop
        if count < 1:
            raise ValueError(f"{batch.shape[1]} samples hold no window of {self.window}")
        out = np.empty((len(batch), self.coefficients, count), np.float32)
        for first in range(0, len(batch), CHUNK):
            self._transform(batch[first : first + CHUNK], out[first : first + CHUNK])
        return out if np.ndim(sound) > 1 else out[0]

    def mfcc_parallel(self, batch: NDArray[Any], workers: int = 2) -> Floats:
        """`mfcc` of a batch (clips, samples) on several threads."""
        parts = np.array_split(batch, max(1, min(workers, len(batch) // CHUNK)))
        if len(parts) == 1:
            return self.mfcc(batch)
        with ThreadPoolExecutor(workers) as pool:
            return np.concatenate(list(pool.map(self.mfcc, parts)))

    def stream(self, blocks: Iterator[NDArray[Any]]) -> Iterator[Floats]:
        """One MFCC column, shape (coefficients,), for every window that the blocks of samples complete."""
        held, gap = np.zeros(0, np.float32), 0  # gap: samples between two windows that are yet to come
        for block in blocks:
            held = np.concatenate([held, np.asarray(block, np.float32)])
            held, gap = held[gap:], max(gap - len(held), 0)
            while len(held) >= self.window:
                yield self.mfcc(held[: self.window])[:, 0]
                held, gap = held[self.hop :], max(self.hop - len(held), 0)

    def _transform(self, batch: Floats, out: Floats) -> None:
        from scipy import fft

        frames = np.lib.stride_tricks.sliding_window_view(batch, self.window, axis=1)[:, :: self.hop]
        spectrum = fft.rfft(frames * self.window_values, n=self.transform, axis=-1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        # One matrix product over all frames of the chunk: much faster than one for each clip.
        mel = power.reshape(-1, power.shape[-1]) @ self.mel_weights
        np.maximum(mel, np.float32(self.floor), out=mel)
        coefficients = np.log(mel, out=mel) @ self.dct_weights
        out[:] = coefficients.reshape(len(batch), -1, self.coefficients).transpose(0, 2, 1)
