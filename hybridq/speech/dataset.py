"""From an audio set to what a network eats: standardised features, labels, and the epochs of augmented training clips.

Two things are cached, each under a key made of everything that decides its content, so that a changed file or setting
gives another key: the decoded sounds of a split (int16), and the features of its centred clips (float32). Both are
memory-mapped. A cache file carries the checksum of its content; one that does not match is made again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.cache import cached, key_of
from hybridq.data.prefetch import prefetch
from hybridq.data.task import CLIPS, Examples, Floats, Retarget, Task, TrainingData, evenly
from hybridq.errors import UserError
from hybridq.speech.audio import SILENCE, UNKNOWN, AudioSet, Clip, read_clip
from hybridq.speech.audio.negatives import Negatives, commands_of, selection, unknown_words
from hybridq.speech.audio.reading import int16, read_clips
from hybridq.speech.audio.silence import MADE_BY, made_silence, part_of
from hybridq.speech.augmentation import Manner, augmented, centred, highest_tempo, masked, mixed
from hybridq.speech.mfcc import EDITION, FrontEnd
from hybridq.speech.negative_sampling import NegativeSampler
from hybridq.speech.normalisation import Normalisation
from hybridq.speech.settings import AugmentSettings, NormalisationKind
from hybridq.speech.synthetic_mix import SyntheticMix, SyntheticVoices

SECONDS = 1  # the length that every clip is padded or cropped to before anything else
CHUNK = 256  # clips augmented and transformed at once in training


@dataclass(frozen=True)
class Split:
    """The clips of one split: sounds int16 (clips, samples), their true classes (clips,) as indices into the labels.

    `words` has the word in each clip, where the class is unknown too; "" where nobody knows. `notes` say, a line each,
    where the clips of silence and of other words come from.
    """

    sounds: NDArray[np.int16]
    truth: NDArray[np.int64]
    key: str
    words: tuple[str, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.truth)


class Dataset(TrainingData):
    """The clips of some words in an audio set, as one front end hears them.

    `labels` are the classes, in the order of the outputs: words, and among them there may be SILENCE and UNKNOWN:

    - silence: in training other pieces of the background recordings in every epoch, and fixed ones in validation, from
      a later part of each recording; in the test the official clips, or fixed pieces from the end of each recording.
    - unknown: in training other clips of the words to learn in every epoch, a share of them spliced from two words; in
      validation and test clips of all words that are no command, of which the network may never have heard some; in the
      test the official clips, if there are.

    With `voices`, synthetic ones, their training takes replace some of the training clips of every epoch, and no other
    clips. `augment` says what is done to the training clips of an epoch, `balance` whether every class counts the same
    in training, `per` how features are standardised.
    """

    task, unit = Task.CLASSIFY, CLIPS

    def __init__(
        self,
        audio: AudioSet,
        labels: Sequence[str],
        front_end: FrontEnd,
        cache: Path,
        balance: bool = True,
        per: NormalisationKind = "per_coefficient",
        negatives: Negatives = Negatives(),  # noqa: B008  (frozen)
        voices: SyntheticVoices | None = None,
        augment: AugmentSettings = AugmentSettings(),  # noqa: B008  (frozen)
    ) -> None:
        self.audio, self.labels, self.negatives = audio, tuple(labels), negatives
        self.commands = commands_of(labels)
        self.front_end, self.cache, self.balance, self.per = front_end, cache, balance, per
        self.voices, self.augment = voices, augment
        self._splits: dict[str, Split] = {}
        self.name, self.place, self.synthetic = audio.name, str(audio.root), audio.synthetic

    def split(self, name: str) -> Split:
        """The clips of 'training', 'validation', 'test', or 'all'; UserError where there are none."""
        if name not in self._splits:
            if not self.audio.select(self.commands, name):
                raise UserError(f"{self.audio.name}: no {name} clips of {', '.join(self.commands)}")
            chosen = selection(self.audio, self.labels, name, self.negatives)
            key, sounds = self._sounds(self.audio.root, chosen.clips, name, chosen.pieces)
            self._splits[name] = Split(sounds, self._truth(chosen.words), key, chosen.words, chosen.notes)
        return self._splits[name]

    def _truth(self, words: Sequence[str]) -> NDArray[np.int64]:
        """The classes of words, as indices: that of unknown words for one that is no class itself."""
        index = {label: i for i, label in enumerate(self.labels)}
        return np.array([index.get(word, index.get(UNKNOWN, -1)) for word in words])

    @property
    def digest(self) -> str:
        """The digest of all that it may hear; without the classes silence and unknown that of the audio set."""
        if self.commands == self.labels or not self.audio.official:
            return self.audio.digest
        return hashlib.sha256(f"{self.audio.digest} {self.audio.official_digest}".encode()).hexdigest()

    @property
    def synthetic_digest(self) -> str:
        """That of the synthetic voices in training; "" without."""
        return self.voices.open().digest if self.voices else ""

    @property
    def shape(self) -> tuple[int, ...]:
        """(coefficients, frames, 1)."""
        return (*self.front_end.shape, 1)

    @property
    def outputs(self) -> tuple[int, ...]:
        """A probability for each label."""
        return (len(self.labels),)

    @property
    def unknown_words(self) -> tuple[str, ...]:
        """The words that train the class unknown; none without it."""
        return unknown_words(self.audio, self.labels, self.negatives)

    def size(self, name: str) -> int:
        """How many clips a split has, without reading them."""
        return len(selection(self.audio, self.labels, name, self.negatives))

    def _sounds(
        self, root: Path, clips: Sequence[Clip], name: str = "", pieces: int = 0
    ) -> tuple[str, NDArray[np.int16]]:
        """The decoded clips, and behind them so many pieces of a split's silence: their key, and (clips, samples)."""
        rate = self.front_end.sample_rate
        parts: list[Any] = ["sounds", rate, [(clip.path.as_posix(), clip.digest) for clip in clips]]
        if pieces:
            parts += [name, pieces, MADE_BY, self.audio.digest]

        def make() -> NDArray[np.int16]:
            sounds = read_clips([root / clip.path for clip in clips], rate, rate * SECONDS)
            if not pieces:
                return sounds
            rng = np.random.default_rng(0)
            return np.concatenate([sounds, made_silence(self._recordings(name), rate * SECONDS, pieces, rng)])

        key = key_of(*parts)
        return key, cached(self.cache / "sounds" / f"{key}.npy", make)

    @cached_property
    def _background(self) -> list[NDArray[np.int16]]:
        return [int16(read_clip(self.audio.root / path, self.front_end.sample_rate)) for path in self.audio.noise]

    def _recordings(self, name: str) -> list[NDArray[np.int16]]:
        """The background recordings as far as a split hears them."""
        return [part_of(recording, name) for recording in self._background]

    @cached_property
    def _pool(self) -> NDArray[np.int16]:
        """All training clips of the words to learn as unknown, of which each epoch hears some."""
        return self._sounds(self.audio.root, self.audio.select(self.unknown_words, "training"))[1]

    @cached_property
    def _synthetic_mix(self) -> SyntheticMix | None:
        if self.voices is None:
            return None
        audio = self.voices.open()
        clips = audio.select(audio.words() if UNKNOWN in self.labels else self.commands, "training")
        classes = self._truth([clip.word for clip in clips])
        return SyntheticMix(self._sounds(audio.root, clips)[1], classes, self.voices.shares(self.labels))

    def features(self, name: str) -> Floats:
        """MFCC of the centred clips of a split, not standardised: (clips, coefficients, frames), memory-mapped."""
        split = self.split(name)
        key = key_of("features", EDITION, split.key, repr(self.front_end))
        features: Floats = cached(self.cache / "features" / f"{key}.npy", lambda: self._transform(split.sounds))
        return features

    def inputs(self, name: str, normalisation: Normalisation | None = None) -> tuple[Floats, NDArray[np.int64]]:
        """What a network sees of a split: standardised (clips, coefficients, frames, 1), and the labels (clips,)."""
        return (normalisation or self.normalisation).apply(self.features(name))[..., None], self.split(name).truth

    def calibration(self, most: int, normalisation: Normalisation | None = None) -> Floats:
        """About `most` of the training clips as inputs, evenly spaced."""
        inputs = self.inputs("training", normalisation)[0]
        return inputs[evenly(len(inputs), most)]

    def annotations(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The words in the clips of a split, and where those of silence and of other words come from."""
        split = self.split(name)
        return split.words, split.notes

    @cached_property
    def normalisation(self) -> Normalisation:
        """Fitted to the centred training clips."""
        return Normalisation.fit(self.features("training"), self.per)

    @cached_property
    def noise(self) -> list[NDArray[np.int16]]:
        """The background recordings that are mixed into training clips: where silence is a class, their first part."""
        return self._recordings("training") if SILENCE in self.labels else self._background

    def class_weights(self) -> dict[int, float] | None:
        """Weights that make every word count the same in training, whatever its number of clips; None: not balanced."""
        if not self.balance:
            return None
        counts = np.bincount(self.split("training").truth, minlength=len(self.labels))
        return {i: float(counts.sum() / (len(counts) * count)) for i, count in enumerate(counts)}

    def epoch(
        self, epoch: int, seed: int, retarget: Retarget | None = None, cancelled: threading.Event | None = None
    ) -> Examples:
        """The training clips of one epoch, augmented and in random order.

        Inputs (clips, coefficients, frames, 1) and targets (clips, labels): ones and zeros, or shares after a mixup, or
        what `retarget` makes of the inputs and these targets, chunk by chunk.

        Where `cancelled` is set in the middle, what comes back is of no use.
        """
        split, settings = self.split("training"), self.augment
        rng = np.random.default_rng((seed, epoch))
        rate, samples = self.front_end.sample_rate, self.front_end.samples_at(highest_tempo(settings))
        order = rng.permutation(len(split))
        sounds_of = self._negative_sampler(split, np.random.default_rng((seed, epoch, 1)))
        inputs = np.empty((len(order), *self.front_end.shape, 1), np.float32)
        targets = np.eye(len(self.labels), dtype=np.float32)[split.truth[order]]
        for first in range(0, len(order), CHUNK):
            if cancelled and cancelled.is_set():
                break
            part = slice(first, first + CHUNK)
            clips = order[part]
            manner = Manner.drawn(settings, len(clips), rng)
            recorded = sounds_of(clips)
            if self._synthetic_mix:
                recorded = self._synthetic_mix.mix(recorded, split.truth[clips], rng)
            sounds = augmented(recorded, self.noise, samples, settings, rate, manner.speed, rng)
            sounds, targets[part] = mixed(sounds, targets[part], settings, rng)
            features = self.normalisation.apply(self.front_end.varied(sounds, manner.tempo, manner.tract))
            inputs[part] = masked(features, settings, rng)[..., None]
            if retarget:
                targets[part] = retarget(inputs[part], targets[part])
        return inputs, targets

    def _negative_sampler(self, split: Split, rng: np.random.Generator) -> NegativeSampler:
        _, words = np.unique(split.words, return_inverse=True)
        silent = np.array([word == SILENCE for word in split.words])
        has_unknown = UNKNOWN in self.labels
        unknown = split.truth == self.labels.index(UNKNOWN) if has_unknown else np.zeros_like(silent)
        recordings = self._recordings("training") if silent.any() else []
        pool = self._pool if has_unknown else None
        return NegativeSampler(split.sounds, words, silent, unknown, pool, recordings, self.negatives.spliced, rng)

    def epochs(
        self, start: int, stop: int, seed: int, retarget: Retarget | None = None
    ) -> Generator[Examples, None, None]:
        """The epochs from start to stop; each is made in the background while the one before it is trained on.

        Close it (`contextlib.closing`) where it is left early: its thread ends then.
        """
        return prefetch(
            range(start, stop), lambda number, cancelled: self.epoch(number, seed, retarget, cancelled), "epochs"
        )

    def _transform(self, sounds: NDArray[np.int16]) -> Floats:
        out = np.empty((len(sounds), *self.front_end.shape), np.float32)
        for first in range(0, len(sounds), 1024):
            part = centred(sounds[first : first + 1024], self.front_end.samples)
            out[first : first + 1024] = self.front_end.mfcc_parallel(part)
        return out
