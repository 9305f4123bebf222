"""Synthetic voices in training: in every epoch they say the word of some clips, in the place of these clips.

So each word has as many clips as it has in the real set, and weighs as much; the epochs are as long; and what is
fitted to the training clips once (class weights, normalisation, grids) is fitted to the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybridq.speech.audio import UNKNOWN, AudioSet


@dataclass(frozen=True)
class SyntheticVoices:
    """Which voices there are, and of how many training clips of each class they take the place.

    `open` gives their clips, made where they are missing. `share` is that of the clips of each class (0 to 1), but for
    those of unknown words, of which it is `unknown_share`, unless that is None.
    """

    open: Callable[[], AudioSet]
    share: float
    unknown_share: float | None = None

    def shares(self, labels: Sequence[str]) -> NDArray[np.float64]:
        """The share of the clips of each class, (classes,)."""
        of_unknown = self.share if self.unknown_share is None else self.unknown_share
        return np.array([of_unknown if label == UNKNOWN else self.share for label in labels])


@dataclass(frozen=True)
class SyntheticMix:
    """Takes of synthetic voices: sounds int16 (takes, samples), and the class that each says, (takes,).

    `shares` (classes,): of the clips of each class, the share that they replace (0 to 1).
    """

    sounds: NDArray[np.int16]
    classes: NDArray[np.int64]
    shares: NDArray[np.float64]

    def mix(self, sounds: NDArray[np.int16], classes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int16]:
        """The clips (clips, samples) with some replaced by takes of the same class; one that nobody says stays."""
        mixed = np.array(sounds)
        chosen = rng.random(len(classes)) < self.shares[classes]
        for one in np.unique(classes[chosen]):
            takes = np.flatnonzero(self.classes == one)
            places = np.flatnonzero(chosen & (classes == one))
            if len(takes):
                mixed[places] = self.sounds[rng.choice(takes, len(places))]
        return mixed
