"""The training clips that are no command, others in every epoch: pieces of silence, and clips of unknown words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybridq.audio.silence import made_silence

Sounds = NDArray[np.int16]  # (clips, samples)


class Renewal:
    """One epoch's choice. `silent` and `unknown` (clips,) say which training clips are renewed.

    `pool` are all clips of unknown words, at least as many as are renewed; `recordings` what silence is made of.
    """

    def __init__(
        self,
        silent: NDArray[np.bool_],
        unknown: NDArray[np.bool_],
        pool: Sounds | None,
        recordings: Sequence[NDArray[np.int16]],
        rng: np.random.Generator,
    ) -> None:
        self.silent, self.pool, self.recordings, self.rng = silent, pool, recordings, rng
        self.drawn = np.full(len(unknown), -1)  # by training clip: which of the pool stands in its place
        if pool is not None:
            self.drawn[unknown] = rng.permutation(len(pool))[: np.count_nonzero(unknown)]

    def __call__(self, sounds: Sounds, clips: NDArray[np.int64]) -> Sounds:
        """The sounds of these training clips with all that are renewed; `clips` are their indices."""
        silent, drawn = self.silent[clips], self.drawn[clips]
        if silent.any() or (drawn >= 0).any():
            sounds = np.array(sounds)
        if self.pool is not None:
            sounds[drawn >= 0] = self.pool[drawn[drawn >= 0]]
        if silent.any():
            sounds[silent] = made_silence(self.recordings, sounds.shape[1], int(silent.sum()), self.rng)
        return sounds
