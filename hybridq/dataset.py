"""From an audio set to what a network eats: standardised features, labels, and the epochs of augmented training clips.

Two things are cached, each under a key made of everything that decides its content, so that a changed file or setting
gives another key: the decoded sounds of a split (int16), and the features of its centred clips (float32). Both are
memory-mapped. A cache file carries the checksum of its content; one that does not match is made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import zlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hybridq.audio import AudioSet, Clip, decode, fit, mono, read_clip
from hybridq.augment import Manner, augmented, centred, highest_tempo, masked, mixed
from hybridq.errors import NotWritable, UserError
from hybridq.features import FrontEnd
from hybridq.paths import locked

if TYPE_CHECKING:
    from hybridq.settings import AugmentSettings

Floats = NDArray[np.float32]
NormalisationKind = Literal["per_coefficient", "global"]
Retarget = Callable[[Floats, Floats], Floats]  # inputs (clips, coefficients, frames, 1), targets (clips, words)

SECONDS = 1  # the length that every clip is padded or cropped to before anything else
CHUNK = 256  # clips augmented and transformed at once in training

log = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the training set, one pair a coefficient; they travel with the model."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, features: Floats, per: NormalisationKind = "per_coefficient") -> Normalisation:
        """From features (clips, coefficients, frames): each coefficient by itself, or all alike (`global`)."""
        over = None if per == "global" else (0, 2)
        mean, deviation = features.mean(over, dtype=np.float64), features.std(over, dtype=np.float64)
        each = np.ones(features.shape[1])
        return cls(tuple((mean * each).tolist()), tuple(np.maximum(deviation * each, 1e-6).tolist()))

    def apply(self, features: Floats) -> Floats:
        """Standardised features of the same shape."""
        shift = np.asarray(self.mean, np.float32)[:, None]
        scale = np.asarray(self.deviation, np.float32)[:, None]
        standard: Floats = np.divide(features - shift, scale, dtype=np.float32)
        return standard


@dataclass(frozen=True)
class Split:
    """The clips of one split: sounds int16 (clips, samples), labels (clips,) as indices into the words."""

    sounds: NDArray[np.int16]
    labels: NDArray[np.int64]
    key: str

    def __len__(self) -> int:
        return len(self.labels)


class Dataset:
    """The clips of `words` in an audio set, as one front end hears them."""

    def __init__(
        self,
        audio: AudioSet,
        words: Sequence[str],
        front_end: FrontEnd,
        cache: Path,
        balance: bool = True,
        per: NormalisationKind = "per_coefficient",
    ) -> None:
        self.audio, self.words = audio, tuple(words)
        self.front_end, self.cache, self.balance, self.per = front_end, cache, balance, per
        self._splits: dict[str, Split] = {}

    def split(self, name: str) -> Split:
        """The sounds and labels of 'training', 'validation', 'test', or 'all'; UserError where there are none."""
        if name not in self._splits:
            clips = self.audio.select(self.words, name)
            if not clips:
                raise UserError(f"{self.audio.name}: no {name} clips of {', '.join(self.words)}")
            index = {word: i for i, word in enumerate(self.words)}
            rate = self.front_end.sample_rate
            key = _key("sounds", rate, [(clip.path.as_posix(), clip.digest) for clip in clips])
            sounds = _cached(self.cache / "sounds" / f"{key}.npy", lambda: _decode(self.audio.root, clips, rate))
            self._splits[name] = Split(sounds, np.array([index[clip.word] for clip in clips]), key)
        return self._splits[name]

    def features(self, name: str) -> Floats:
        """MFCC of the centred clips of a split, not standardised: (clips, coefficients, frames), memory-mapped."""
        split = self.split(name)
        key = _key("features", split.key, repr(self.front_end))
        features: Floats = _cached(self.cache / "features" / f"{key}.npy", lambda: self._transform(split.sounds))
        return features

    def inputs(self, name: str, normalisation: Normalisation | None = None) -> tuple[Floats, NDArray[np.int64]]:
        """What a network sees of a split: standardised (clips, coefficients, frames, 1), and the labels (clips,)."""
        return (normalisation or self.normalisation).apply(self.features(name))[..., None], self.split(name).labels

    @cached_property
    def normalisation(self) -> Normalisation:
        """Fitted to the centred training clips."""
        return Normalisation.fit(self.features("training"), self.per)

    @cached_property
    def noise(self) -> list[NDArray[np.int16]]:
        """The background recordings."""
        return [_int16(read_clip(self.audio.root / path, self.front_end.sample_rate)) for path in self.audio.noise]

    def class_weights(self) -> dict[int, float] | None:
        """Weights that make every word count the same in training, whatever its number of clips; None: not balanced."""
        if not self.balance:
            return None
        counts = np.bincount(self.split("training").labels, minlength=len(self.words))
        return {i: float(counts.sum() / (len(counts) * count)) for i, count in enumerate(counts)}

    def epoch(
        self,
        epoch: int,
        seed: int,
        settings: AugmentSettings,
        retarget: Retarget | None = None,
        over: threading.Event | None = None,
    ) -> tuple[Floats, Floats]:
        """The training clips of one epoch, augmented and in random order.

        Inputs (clips, coefficients, frames, 1) and targets (clips, words): ones and zeros, or shares after a mixup, or
        what `retarget` makes of the inputs and these targets, chunk by chunk.

        Where `over` is set in the middle, what comes back is of no use.
        """
        split = self.split("training")
        rng = np.random.default_rng((seed, epoch))
        rate, samples = self.front_end.sample_rate, self.front_end.samples_at(highest_tempo(settings))
        order = rng.permutation(len(split))
        out = np.empty((len(order), *self.front_end.shape), np.float32)
        targets = np.eye(len(self.words), dtype=np.float32)[split.labels[order]]
        for first in range(0, len(order), CHUNK):
            if over and over.is_set():
                break
            part = order[first : first + CHUNK]
            manner = Manner.drawn(settings, len(part), rng)
            sounds = augmented(split.sounds[part], self.noise, samples, settings, rate, manner.speed, rng)
            sounds, targets[first : first + CHUNK] = mixed(sounds, targets[first : first + CHUNK], settings, rng)
            features = self.normalisation.apply(self.front_end.varied(sounds, manner.tempo, manner.tract))
            out[first : first + CHUNK] = masked(features, settings, rng)
            if retarget:
                targets[first : first + CHUNK] = retarget(
                    out[first : first + CHUNK, ..., None], targets[first : first + CHUNK]
                )
        return out[..., None], targets

    def epochs(
        self, start: int, stop: int, seed: int, settings: AugmentSettings, retarget: Retarget | None = None
    ) -> Generator[tuple[Floats, Floats], None, None]:
        """The epochs from start to stop; each is made in the background while the one before it is trained on.

        Close it (`contextlib.closing`) where it is left early: its thread ends then.
        """
        queue: Queue[Any] = Queue(1)
        over = threading.Event()

        def work() -> None:
            try:
                for number in range(start, stop):
                    made = self.epoch(number, seed, settings, retarget, over)
                    if over.is_set():
                        return
                    queue.put(made)
            except BaseException as error:
                queue.put(error)

        thread = threading.Thread(target=work, daemon=True, name="epochs")
        thread.start()
        try:
            for _ in range(start, stop):
                item = queue.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            over.set()
            while thread.is_alive():  # it may be waiting for room in the queue
                if not queue.empty():
                    queue.get_nowait()
                thread.join(timeout=0.05)

    def _transform(self, sounds: NDArray[np.int16]) -> Floats:
        out = np.empty((len(sounds), *self.front_end.shape), np.float32)
        for first in range(0, len(sounds), 1024):
            part = centred(sounds[first : first + 1024], self.front_end.samples)
            out[first : first + 1024] = self.front_end.mfcc_parallel(part)
        return out


def _decode(root: Path, clips: list[Clip], rate: int) -> NDArray[np.int16]:
    log.info("reading %d clips", len(clips))
    converted = 0

    def read(clip: Clip) -> NDArray[np.int16]:
        nonlocal converted
        recording = decode(root / clip.path)
        converted += recording.rate != rate or recording.samples.shape[1] > 1
        return _int16(fit(mono(recording, rate), rate * SECONDS))

    with ThreadPoolExecutor(2) as pool:
        sounds = np.stack(list(pool.map(read, clips)))
    if converted:
        log.info("%d of them were not mono at %d Hz: channels mixed, rate converted", converted, rate)
    return sounds


def _int16(sound: Floats) -> NDArray[np.int16]:
    return np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _cached(path: Path, make: Callable[[], NDArray[Any]]) -> Any:
    """The array in the file, memory-mapped; made, and written for the next time, where it is missing or broken.

    Of two processes that want the same one, one makes it and the other waits.
    """
    found = _whole(path)
    if found is not None:
        return found
    with locked(path.with_suffix(".lock")):
        found = _whole(path)
        if found is not None:
            return found
        if path.exists():
            log.warning("the cache file %s is damaged and will be made again", path)
        _keep(path, make())
    return np.load(path, mmap_mode="r")


def _whole(path: Path) -> Any:
    """The array in the file, memory-mapped, if its sum is right; else None."""
    try:
        return np.load(path, mmap_mode="r") if _checksum(path) == path.with_suffix(".crc").read_text() else None
    except (OSError, ValueError):
        return None


def _keep(path: Path, array: NDArray[Any]) -> None:
    new = path.with_suffix(".new")  # of a process that was killed there may be one: it is written over
    try:
        with open(new, "wb") as file:
            np.save(file, array)
        # The sum goes first: a file without its own sum is not trusted, and is made again.
        path.with_suffix(".crc").write_text(_checksum(new))
        os.replace(new, path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise NotWritable(path.parent, error) from error


def _checksum(path: Path) -> str:
    total = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return f"{total:08x} {path.stat().st_size}"
