"""The training clips that are no command, others in every epoch: silence, clips of unknown words, and spliced words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybridq.speech.audio.silence import made_silence

Sound = NDArray[np.int16]  # (samples,)
Sounds = NDArray[np.int16]  # (clips, samples)

FADE = 160  # samples over which one half of a spliced word goes over into the other


class NegativeSampler:
    """One epoch's choice of them. `words` (clips,) are numbers of the words in the training clips `sounds`.

    `silent` and `unknown` (clips,) say which of these are drawn anew. `pool` are all clips of unknown words, which come
    again where more are drawn; `recordings` what silence is made of; `splices` the share of unknown clips that are
    spliced (0 to 1).
    """

    def __init__(
        self,
        sounds: Sounds,
        words: NDArray[np.int64],
        silent: NDArray[np.bool_],
        unknown: NDArray[np.bool_],
        pool: Sounds | None,
        recordings: Sequence[Sound],
        splices: float,
        rng: np.random.Generator,
    ) -> None:
        self.sounds, self.words, self.silent, self.pool, self.recordings = sounds, words, silent, pool, recordings
        self.rng = rng
        self.spoken = np.flatnonzero(~silent)
        self.drawn = np.full(len(words), -1)  # by training clip: which of the pool stands in its place
        if pool is not None:
            wanted = np.count_nonzero(unknown)
            rounds = [rng.permutation(len(pool)) for _ in range(-(-wanted // len(pool)))]
            self.drawn[unknown] = np.concatenate(rounds)[:wanted]
        self.spliced = unknown & (rng.random(len(words)) < splices)

    def __call__(self, clips: NDArray[np.int64]) -> Sounds:
        """The sounds of these training clips, by their indices."""
        sounds = np.asarray(self.sounds[clips])
        silent, drawn = self.silent[clips], self.drawn[clips]
        if self.pool is not None:
            sounds[drawn >= 0] = self.pool[drawn[drawn >= 0]]
        for i in np.flatnonzero(self.spliced[clips]):
            sounds[i] = self._spliced()
        if silent.any():
            sounds[silent] = made_silence(self.recordings, sounds.shape[1], int(silent.sum()), self.rng)
        return sounds

    def _spliced(self) -> Sound:
        """Of two training clips of different words, which may be commands."""
        first = self.rng.choice(self.spoken)
        others = self.spoken[self.words[self.spoken] != self.words[first]]
        return spliced(self.sounds[first], self.sounds[self.rng.choice(others)])


def spliced(first: Sound, second: Sound) -> Sound:
    """One word's beginning and the end of another, each cut where half of its energy has passed, at one level."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    cut_a, cut_b = _middle(a), _middle(b)
    level = np.sqrt(np.mean(a**2) / np.maximum(np.mean(b**2), 1.0))
    end = np.zeros(len(a) - cut_a)
    tail = level * b[cut_b : cut_b + len(end)]
    end[: len(tail)] = tail
    share = np.clip(np.arange(len(end)) / FADE, 0, 1)
    a[cut_a:] = share * end + (1 - share) * a[cut_a:]
    return np.clip(np.rint(a), -32768, 32767).astype(np.int16)


def _middle(sound: NDArray[np.float64]) -> int:
    passed = np.cumsum(sound**2)
    return int(np.searchsorted(passed, passed[-1] / 2))
