"""The front end: sound in, a coefficients x frames matrix of MFCC out.

One definition serves a batch, a single clip and a stream, to the last bit on one machine::

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

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError

if TYPE_CHECKING:
    from hybridq.speech.settings import FeatureSettings

Floats = NDArray[np.float32]

EDITION = 2  # of the numbers: what was cached by another one is made again
CHUNK = 8  # clips transformed at once: their spectra stay in the processor's cache
LARGEST = 192_000  # of all lengths and counts: a second at the highest sample rate
LANES = 16  # frames are transformed by so many at once: no vector of float32 has more
LOG_STEPS = (
    2.0**20
)  # a logarithm is a whole number of steps in the cosine transform; float32 has no finer ones from 8 on
LOG_BITS = 27  # of such a number: no logarithm of a float32 is beyond +-128
KNEE = 0.6  # of the highest frequency: up to here a vocal tract's length scales frequencies, 4.8 of 8 kHz


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
        return self.samples_at(1.0)

    def samples_at(self, tempo: float) -> int:
        """Samples that such a matrix needs of sound `tempo` times as fast: its frames lie as much further apart."""
        return math.ceil((self.frames - 1) * self.hop * tempo) + self.window

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

    def varied(self, sounds: Floats, tempo: NDArray[Any], tract: NDArray[Any]) -> Floats:
        """MFCC (clips, coefficients, frames) of clips (clips, samples) that are said faster, or by somebody else.

        tempo, tract: factors (clips,). The frames lie `tempo` times as far apart, around the clip's middle: what is
        said is faster and the pitch stays. `tract` is the length of the vocal tract over the speaker's own: its
        resonances fall as it grows (`warped_mel`). Where both are 1 these are the numbers of `mfcc`.

        Raises ValueError where the clips have fewer samples than `samples_at` the highest tempo.
        """
        spare = sounds.shape[1] - self.window
        beside = np.arange(self.frames) - (self.frames - 1) / 2
        starts = np.rint(spare / 2 + self.hop * tempo[:, None] * beside).astype(np.int64)
        if starts.min() < 0 or starts.max() > spare:
            raise ValueError(f"{sounds.shape[1]} samples are too few for a tempo of {tempo.max():g}")
        windows = np.lib.stride_tricks.sliding_window_view(sounds, self.window, axis=1)
        out = np.empty((len(sounds), *self.shape), np.float32)
        for first in range(0, len(sounds), CHUNK):
            part = np.arange(first, min(first + CHUNK, len(sounds)))
            power = self._power(windows[part[:, None], starts[part]])
            for at, i in enumerate(part):
                columns = power[:, at * self.frames : (at + 1) * self.frames]
                out[i] = self._cepstrum(bank(self, float(tract[i])) @ columns)
        return out

    def mfcc_parallel(self, batch: NDArray[Any], workers: int = 2) -> Floats:
        """`mfcc` of a batch (clips, samples) on several threads."""
        parts = np.array_split(batch, max(1, min(workers, len(batch) // CHUNK)))
        if len(parts) == 1:
            return self.mfcc(batch)
        with ThreadPoolExecutor(workers) as pool:
            return np.concatenate(list(pool.map(self.mfcc, parts)))

    def stream(self, blocks: Iterator[NDArray[Any]]) -> Iterator[Floats]:
        """One MFCC column, shape (coefficients,), for every window that the blocks of samples complete.

        The numbers are those of `mfcc`, to the last bit.
        """
        held, gap = np.zeros(0, np.float32), 0  # gap: samples between two windows that are yet to come
        for block in blocks:
            held = np.concatenate([held, np.asarray(block, np.float32)])
            held, gap = held[gap:], max(gap - len(held), 0)
            while len(held) >= self.window:
                yield self.mfcc(held[: self.window])[:, 0]
                held, gap = held[self.hop :], max(self.hop - len(held), 0)

    def _transform(self, batch: Floats, out: Floats) -> None:
        frames = np.lib.stride_tricks.sliding_window_view(batch, self.window, axis=1)[:, :: self.hop]
        cepstrum = self._cepstrum(bank(self) @ self._power(frames))
        columns = cepstrum[:, : len(batch) * out.shape[-1]]
        out[:] = columns.reshape(self.coefficients, len(batch), -1).transpose(1, 0, 2)

    def _power(self, frames: Floats) -> Floats:
        """Of frames (..., window): (transform // 2 + 1, columns), a column for each, and silence up to a whole LANES.

        So each frame is a lane of the same vector instructions, here and in the filter bank, and its numbers do not
        depend on what is beside it. One left over behind the last vector might be rounded otherwise.
        """
        from scipy import fft

        count = math.prod(frames.shape[:-1])
        filled = np.empty((-(-count // LANES) * LANES, self.window), np.float32)
        filled[count:] = 0
        np.multiply(frames, self.window_values, out=filled[:count].reshape(frames.shape))
        spectrum = fft.rfft(filled, n=self.transform, axis=-1)
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        return np.ascontiguousarray(power.T)

    def _cepstrum(self, mel: Floats) -> Floats:
        """MFCC (coefficients, columns) of mel (mel_bands, columns), which is written over.

        BLAS adds up a column in an order that depends on the processor and on the columns beside it. Here it adds whole
        numbers below 2**53, of which float64 loses none in any order.
        """
        np.maximum(mel, np.float32(self.floor), out=mel)
        np.log(mel, out=mel)
        weights, step = self._whole_dct
        cepstrum: Floats = (weights @ np.rint(mel * LOG_STEPS) * step).astype(np.float32)
        return cepstrum

    @cached_property
    def _whole_dct(self) -> tuple[NDArray[np.float64], float]:
        """`dct_weights` (coefficients, mel_bands) in whole steps, and what a unit of their products stands for."""
        weights = self.dct_weights.T.astype(np.float64)
        largest_sum = float(np.abs(weights).sum(1).max())
        steps = 2.0 ** (52 - LOG_BITS - math.ceil(math.log2(largest_sum)))
        return np.rint(weights * steps), 1 / (steps * LOG_STEPS)


@lru_cache(maxsize=64)
def bank(end: FrontEnd, tract: float = 1.0) -> Any:
    """`warped_mel` as a sparse matrix, shape (mel_bands, transform // 2 + 1): a band adds up its few bins in order."""
    from scipy import sparse

    return sparse.csr_array(warped_mel(end, tract).T)


def warped_mel(end: FrontEnd, tract: float) -> Floats:
    """The mel filter bank that hears a vocal tract `tract` times as long, shape (transform // 2 + 1, mel_bands).

    A tract longer by a factor has its resonances lower by it, so each band listens higher by it; above the knee the
    factor fades, so that half the sample rate stays where it is (Jaitly and Hinton 2013, "Vocal tract length
    perturbation improves speech recognition"; there the knee is at 4.8 of 8 kHz too).
    """
    if tract == 1:
        return end.mel_weights
    from librosa import mel_frequencies

    top = end.sample_rate / 2
    knee = KNEE * top * min(tract, 1.0) / tract
    edges = mel_frequencies(end.mel_bands + 2, fmin=end.low_hz, fmax=end.high_hz)
    edges = np.interp(edges, [0, knee, top], [0, knee * tract, top])
    bins = np.linspace(0, top, end.transform // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    bank: Floats = (np.maximum(triangles, 0) * 2 / (high - low)).astype(np.float32)
    return bank
