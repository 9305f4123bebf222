"""Examples of any kind, from arrays: checked, split, standardised; the class behind every form of data but sound.

Arrays are called x, y, groups, or, where splits are given, x_train, y_train, groups_train, x_validation and so on;
`labels` are names of classes. They may be mapped from a file: training reads its examples batch by batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data import checks
from hybridq.data.augmentation import Augmentation
from hybridq.data.lazy_inputs import Split, joined, read_later
from hybridq.data.settings import LayersAugment, OwnData
from hybridq.data.splits import drawn
from hybridq.data.standardisation import Standardisation
from hybridq.data.task import (
    SAMPLES,
    SPLITS,
    Examples,
    Floats,
    Inputs,
    Retarget,
    Task,
    TrainingData,
    Truth,
    evenly,
    targets_of,
)
from hybridq.errors import UserError, did_you_mean, first_line

SUFFIXES = {"training": "_train", "validation": "_validation", "test": "_test"}
NAMES = ("labels", *(f"{name}{suffix}" for name in ("x", "y", "groups") for suffix in ("", *SUFFIXES.values())))


@dataclass(frozen=True)
class SamplesEpoch:
    """An epoch of samples: the order of the training examples, the seed and number of the epoch."""

    data: Samples
    order: NDArray[np.int64]
    seed: int
    number: int
    retarget: Retarget | None

    def __len__(self) -> int:
        return len(self.order)

    def part(self, first: int, stop: int, /) -> Examples:
        """Inputs and targets of some examples, augmented and standardised."""
        data, training = self.data, self.data.splits["training"]
        chosen = self.order[first:stop]
        changed = data.augmentation.apply(training.chosen(chosen), (self.seed, self.number, first))
        inputs = data.standardisation.apply(changed)
        targets = targets_of(data.task, inputs, training.truth[chosen], data.labels)
        return inputs, self.retarget(inputs, targets) if self.retarget else targets


class Samples(TrainingData):
    """Examples in splits, standardised; training examples are changed at random, anew in every epoch."""

    unit = SAMPLES

    def __init__(
        self,
        name: str,
        place: str,
        task: Task,
        splits: Mapping[str, Split],
        labels: tuple[str, ...],
        digest: str,
        settings: OwnData,
        augment: LayersAugment,
    ) -> None:
        self.name, self.place, self.task, self.splits, self.labels = name, place, task, splits, labels
        self.synthetic, self.balance = settings.synthetic, settings.balance
        parts = checks.chunks(splits["training"].inputs, splits["training"].places)
        self.standardisation = Standardisation.fit(settings.normalise, parts)
        self.augmentation = Augmentation(augment)
        self._digest = hashlib.sha256(digest.encode()).hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the arrays, and of what they are from."""
        return self._digest

    @property
    def synthetic_digest(self) -> str:
        """Nothing made up is mixed into training."""
        return ""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of an input."""
        return self.splits["training"].inputs.shape[1:]

    @property
    def outputs(self) -> tuple[int, ...]:
        """A number for each class, the numbers to learn, or the shape of an input."""
        if self.task is Task.RECONSTRUCT:
            return self.shape
        return (len(self.labels),) if self.task is Task.CLASSIFY else self.splits["training"].truth.shape[1:]

    def size(self, split: str, /) -> int:
        """How many examples a split has."""
        return len(self.splits[split])

    def inputs(self, split: str, /) -> tuple[Inputs, Truth]:
        """All of a split, in memory where it is small, and the truth; 'all': of all splits together."""
        if split == "all":
            parts, truths = zip(*map(self.inputs, SPLITS), strict=True)
            return joined(parts), np.concatenate(truths)
        one = self.splits[split]
        return read_later(one, self.standardisation), one.truth

    def calibration(self, most: int, /) -> Floats:
        """About `most` training inputs, evenly spaced."""
        training = self.splits["training"]
        return self.standardisation.apply(training.chosen(evenly(len(training), most)))

    def annotations(self, split: str, /) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """There are none."""
        return (), ()

    def class_weights(self) -> dict[int, float] | None:
        """Weights that make every class count the same in training; None: not balanced."""
        if not self.balance or self.task is not Task.CLASSIFY:
            return None
        counts = np.bincount(self.splits["training"].truth, minlength=len(self.labels))
        return {i: float(counts.sum() / (len(counts) * count)) for i, count in enumerate(counts)}

    def epochs(
        self, start: int, stop: int, seed: int, retarget: Retarget | None = None
    ) -> Generator[SamplesEpoch, None, None]:
        """The epochs from start to stop, each with the training examples in another order."""
        for number in range(start, stop):
            order = np.random.default_rng((seed, number)).permutation(self.size("training"))
            yield SamplesEpoch(self, order, seed, number, retarget)


def samples_of(
    arrays: Mapping[str, NDArray[Any]],
    settings: OwnData,
    task: Task,
    name: str,
    place: str,
    digest: str = "",
    augment: LayersAugment = LayersAugment(),  # noqa: B008  (frozen)
) -> Samples:
    """The examples in arrays, checked; `digest` is of what they are from, beside their content.

    Raises UserError, beginning with the place and the array, for arrays that cannot be trained on.
    """
    try:
        splits, labels = _splits(arrays, settings, task)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    used = {key: array for key, array in arrays.items() if key in NAMES}
    return Samples(name, place, task, splits, labels, f"{digest} {checks.digest_of(used)}", settings, augment)


def _splits(
    arrays: Mapping[str, NDArray[Any]], settings: OwnData, task: Task
) -> tuple[dict[str, Split], tuple[str, ...]]:
    given = {split: suffix for split, suffix in SUFFIXES.items() if f"x{suffix}" in arrays}
    if "x" in arrays and not given:
        given = {"training": ""}
    if "training" not in given or ("x" in arrays and given != {"training": ""}):
        both = "x beside x_train or x_test" if "x" in arrays else "no array x, and no x_train"
        raise UserError(f"{both}: give x, or x_train and what else there is (has {', '.join(arrays) or 'none'})")
    for suffix in given.values():
        inputs = arrays[f"x{suffix}"]
        checks.check_inputs(f"x{suffix}", inputs)
        first = arrays[f"x{given['training']}"]
        if inputs.shape[1:] != first.shape[1:]:
            raise UserError(f"x{suffix}: inputs of {inputs.shape[1:]}, those to train on are {first.shape[1:]}")
        if f"y{suffix}" in arrays:
            checks.check_length(f"y{suffix}", arrays[f"y{suffix}"], f"x{suffix}", len(inputs))
        elif task is not Task.RECONSTRUCT:
            raise UserError(f"no array y{suffix}, the {checks.targets_name(task)} of x{suffix}")
        if f"groups{suffix}" in arrays:
            groups = arrays[f"groups{suffix}"]
            checks.check_length(f"groups{suffix}", groups, f"x{suffix}", len(inputs))
            if groups.ndim > 1:
                raise UserError(f"groups{suffix}: must be (examples,), a group for each (is {groups.shape})")
    truth, labels = _truth(arrays, given, settings, task)
    splits = {
        split: Split(arrays[f"x{suffix}"], np.arange(len(arrays[f"x{suffix}"])), truth[split])
        for split, suffix in given.items()
    }
    splits = _drawn(splits, arrays.get(f"groups{given['training']}"), settings, task)
    if task is Task.CLASSIFY:
        checks.check_classes(f"y{given['training']}", splits["training"].truth, labels)
    if task is Task.RECONSTRUCT:
        for split in ("training", "validation"):
            count = int(splits[split].truth.sum())
            if count:
                raise UserError(f"y{SUFFIXES[split]}: {count} anomalies; {split} is on what is normal")
    return splits, labels if task is Task.CLASSIFY else ()


def _truth(
    arrays: Mapping[str, NDArray[Any]], given: Mapping[str, str], settings: OwnData, task: Task
) -> tuple[dict[str, Truth], tuple[str, ...]]:
    """What is known of the examples of each given split, and the names of the classes."""
    known = {split: f"y{suffix}" for split, suffix in given.items() if f"y{suffix}" in arrays}
    if task is Task.REGRESS:
        numbers = {split: checks.numbers_of(name, arrays[name]) for split, name in known.items()}
        widths = {one.shape[1] for one in numbers.values()}
        if len(widths) > 1:
            raise UserError(f"y: {' and '.join(map(str, sorted(widths)))} numbers to learn in different splits")
        return dict(numbers), ()
    if not known:
        return {split: np.zeros(len(arrays[f"x{suffix}"]), np.int64) for split, suffix in given.items()}, ()
    names = settings.labels or (checks.labels_of(arrays["labels"]) if "labels" in arrays else None)
    labels, indices = checks.classes_of({name: arrays[name] for name in known.values()}, names, known["training"])
    truth: dict[str, Truth] = {split: indices[name] for split, name in known.items()}
    if task is Task.RECONSTRUCT:
        named = names is not None or arrays[known["training"]].dtype.kind == "U"
        truth = {split: checks.anomalies_of(one, labels, named) for split, one in truth.items()}
        normal = {split: np.zeros(len(arrays[f"x{suffix}"]), np.int64) for split, suffix in given.items()}
        truth = normal | truth
    return truth, labels


def _drawn(splits: dict[str, Split], groups: NDArray[Any] | None, settings: OwnData, task: Task) -> dict[str, Split]:
    """The splits, with those that are not given drawn from the training split; anomalies go into the test."""
    whole = splits["training"]
    shares = {"validation": settings.validation, "test": settings.test}
    shares = {split: share for split, share in shares.items() if split not in splits}
    if sum(shares.values()) >= 1:
        raise UserError("data.validation and data.test: nothing would be left to train on")
    for split, share in shares.items():
        if not share:
            raise UserError(f"no {split} data: give x{SUFFIXES[split]}, or a share as data.{split}")
    if not shares:
        return splits
    places = whole.places
    odd = np.zeros(0, np.int64)
    if task is Task.RECONSTRUCT and "test" in shares:
        places, odd = places[whole.truth == 0], places[whole.truth != 0]
        if not len(places):
            raise UserError(f"y: no normal example, which is of class 0 or '{checks.NORMAL}'")
    classes = whole.truth if task is Task.CLASSIFY else None
    left, taken = drawn(len(places), shares, settings.split_seed, None if groups is None else groups[places], classes)
    made = {"training": left, **taken}
    chosen = {split: places[inside] for split, inside in made.items()}
    if len(odd):
        chosen["test"] = np.concatenate([chosen["test"], odd])
    for split, inside in chosen.items():
        if not len(inside):
            raise UserError(f"no {split} data: {len(places)} examples are too few for data.{split}")
        splits = {**splits, split: Split(whole.inputs, inside, whole.truth[inside])}
    return splits


def arrays_of(place: str, returned: Any) -> dict[str, NDArray[Any]]:
    """The arrays that a function has returned: x, (x, y), (x, y, groups), or a mapping of names to arrays.

    Raises UserError, beginning with the place, for anything else.
    """
    if isinstance(returned, Mapping):
        named: dict[Any, Any] = dict(returned)
    else:
        several = returned if isinstance(returned, tuple) else (returned,)
        named = dict(zip(("x", "y", "groups"), several, strict=False))
        if len(several) > 3 or any(isinstance(one, str | bytes | dict) or one is None for one in several):
            kind = f"{len(several)} values" if isinstance(returned, tuple) else type(returned).__name__
            raise UserError(f"{place}: returned {kind}, not (x, y), (x, y, groups) or a dict of arrays")
    unknown = [name for name in named if name not in NAMES]
    if unknown:
        near = did_you_mean(str(unknown[0]), NAMES)
        raise UserError(f"{place}: returned '{unknown[0]}', which is none of x, y, groups, x_train and so on{near}")
    try:
        return {name: np.asarray(value) for name, value in named.items()}
    except ValueError as error:  # rows of different lengths
        raise UserError(f"{place}: returned what is no array ({first_line(error)})") from None
