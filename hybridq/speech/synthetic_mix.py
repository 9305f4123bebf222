"""Synthetic voices in training: in every epoch they say the word of some clips, in the place of these clips.

So each word has as many clips as it has in the real set, and weighs as much; the epochs are as long; and what is
fitted to the training clips once (class weights, normalisation, grids) is fitted to the real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StandIns:
    """Takes of synthetic voices: sounds int16 (takes, samples), labels (takes,).

    `shares` (classes,): of the clips of each class, the share that they replace.
    """

    sounds: NDArray[np.int16]
    labels: NDArray[Any]
    shares: NDArray[np.float64]

    def instead(self, sounds: NDArray[np.int16], labels: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int16]:
        """The clips (clips, samples) with some replaced by takes of the same label; one that nobody says stays."""
        mixed = np.array(sounds)
        chosen = rng.random(len(labels)) < self.shares[labels]
        for label in np.unique(labels[chosen]):
            takes = np.flatnonzero(self.labels == label)
            places = np.flatnonzero(chosen & (labels == label))
            if len(takes):
                mixed[places] = self.sounds[rng.choice(takes, len(places))]
        return mixed
