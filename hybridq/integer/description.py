"""What an integer network is of, besides what it computes: its answers, its recipe, and what makes its input.

It travels in the network's file as one object of plain data, whose size `artefact` bounds. Settings of a front end, and
of decisions in a stream, stay plain here: only the room that they are of reads them (of sound `hybridq.speech`), and a
network of images or of other sensors has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from hybridq.data.task import Task
from hybridq.errors import UserError
from hybridq.quantization.steps import ANSWERS

LONGEST_WORD = 1_000  # characters
MOST_SETTINGS = 100
SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: no encoding has it


@dataclass(frozen=True)
class Rejection:
    """How commands are told from the rest.

    threshold: the least probability, 0 to 1, of a command that counts; unknown_words: those learnt as no command.
    """

    threshold: float
    unknown_words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Description:
    """Of a network that says nothing of it, an entry is None, and `labels` is empty.

    labels: in the order of the logits. activation: for each output of the network the function that makes answers of it
    in real numbers, "softmax", "sigmoid", "tanh" or "" for none; () is softmax where there are labels, else none.
    decision: how the network's recipe decides in a stream, where it says more than the defaults. name: the recipe's;
    model_sha256: of the Keras model (hex). task: None means classify. other: entries of the file that this version does
    not know, kept so that its digest stays.

    Two steps make the input of the caller's numbers, before they are rounded to its grid. normalisation: what is done
    to the data before the Keras model reads it, a "mean" that is taken away and a "deviation" to divide by, of sound
    one for each row of the input, of other data one for each channel, or one. rescaling: what the model's own first
    layers do then, a "scale" and an "offset", of each one, or one for each channel. `affine` is the two as one.
    """

    labels: tuple[str, ...] = ()
    rejection: Rejection | None = None
    decision: Mapping[str, Any] | None = None
    front_end: Mapping[str, Any] | None = None
    normalisation: Mapping[str, tuple[float, ...]] | None = None
    activation: tuple[str, ...] = ()
    rescaling: Mapping[str, tuple[float, ...]] | None = None
    name: str | None = None
    model_sha256: str | None = None
    task: Task | None = None
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def affine(self) -> tuple[list[float], list[float]]:
        """By what a number of the data is multiplied, and what is added, before it is rounded to the input's grid.

        One of each, or one for each channel; of a network that hears sound what comes behind its front end is left out.
        """
        standard = {} if self.front_end else self.normalisation or {}
        rescaling = self.rescaling or {}
        deviation, mean = np.array(standard.get("deviation", (1.0,))), np.array(standard.get("mean", (0.0,)))
        scale, offset = np.array(rescaling.get("scale", (1.0,))), np.array(rescaling.get("offset", (0.0,)))
        scales, offsets = np.broadcast_arrays(scale / deviation, offset - mean * scale / deviation)
        return scales.tolist(), offsets.tolist()

    @classmethod
    def from_plain(cls, plain: Any) -> Description:
        """From the object in a file; raises UserError naming the entry that is not what it should be."""
        entries = _mapping("about", plain)
        values = {key: read(key, entries[key]) for key, read in READERS.items() if key in entries}
        if ("threshold" in values) != ("unknown_words" in values):
            raise UserError("its threshold and its unknown words: only one of the two is there")
        rejection = None
        if "threshold" in values:
            rejection = Rejection(values.pop("threshold"), values.pop("unknown_words"))
        other = {key: value for key, value in entries.items() if key not in READERS}
        return cls(**values, rejection=rejection, other=other)

    def to_plain(self) -> dict[str, Any]:
        """The object in a file: what `from_plain` makes this description of."""
        rejection, normalisation = self.rejection, self.normalisation
        values: dict[str, Any] = {
            "labels": list(self.labels) or None,
            "threshold": rejection and rejection.threshold,
            "unknown_words": rejection and list(rejection.unknown_words),
            "decision": self.decision and dict(self.decision),
            "front_end": self.front_end and dict(self.front_end),
            "normalisation": normalisation and {key: list(numbers) for key, numbers in normalisation.items()},
            "activation": list(self.activation) or None,
            "rescaling": self.rescaling and {key: list(numbers) for key, numbers in self.rescaling.items()},
            "name": self.name,
            "model_sha256": self.model_sha256,
            "task": self.task and self.task.value,
        }
        return {**self.other, **{key: value for key, value in values.items() if value is not None}}


def _mapping(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise UserError(f"its {key}: no mapping")
    return value


def _settings(key: str, value: Any) -> dict[str, Any]:
    settings = _mapping(key, value)
    if not all(map(_is_single, settings.values())) or not 0 < len(settings) <= MOST_SETTINGS:
        raise UserError(f"its {key}: not 1 to {MOST_SETTINGS} names with a number or a text each")
    return dict(settings)


def _is_single(value: Any) -> bool:
    return isinstance(value, str | int | float | None) and len(str(value)) <= LONGEST_WORD


def _word(key: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_WORD or SURROGATE.search(value):
        raise UserError(f"its {key}: {value!r:.40} is no text of at most {LONGEST_WORD:,} characters")
    return value


def _words(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise UserError(f"its {key}: no list of words")
    return tuple(_word(key, one) for one in value)


def _labels(key: str, value: Any) -> tuple[str, ...]:
    labels = _words(key, value)
    if not labels:
        raise UserError(f"its {key}: an empty list")
    return labels


def _activations(key: str, value: Any) -> tuple[str, ...]:
    names = _words(key, value)
    if not set(names) <= {"", *ANSWERS}:
        raise UserError(f"its {key}: {', '.join(names)!r:.40}, of {', '.join(ANSWERS)}")
    return names


def _rescaling(key: str, value: Any) -> dict[str, tuple[float, ...]]:
    numbers = _numbers(key, value)
    if numbers.keys() != {"scale", "offset"} or not all(numbers.values()):
        raise UserError(f"its {key}: not a scale and an offset")
    return numbers


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(one, int | float) and not isinstance(one, bool) and isfinite(one) for one in values)


def _probability(key: str, value: Any) -> float:
    if not _are_numbers([value]) or not 0 <= value <= 1:
        raise UserError(f"its {key}: {value!r:.40} is no probability")
    number: float = value
    return number


def _numbers(key: str, value: Any) -> dict[str, tuple[float, ...]]:
    lists = _mapping(key, value)
    numeric = all(isinstance(one, list | tuple) and _are_numbers(one) for one in lists.values())
    if not numeric or not 0 < len(lists) <= MOST_SETTINGS:
        raise UserError(f"its {key}: not 1 to {MOST_SETTINGS} names with a list of numbers each")
    return {name: tuple(numbers) for name, numbers in lists.items()}


def _task(key: str, value: Any) -> Task:
    if value not in list(Task):
        raise UserError(f"its {key}: {value!r:.40} is none of {', '.join(Task)}")
    return Task(value)


READERS: dict[str, Callable[[str, Any], Any]] = {
    "labels": _labels,
    "threshold": _probability,
    "unknown_words": _words,
    "decision": _settings,
    "front_end": _settings,
    "normalisation": _numbers,
    "activation": _activations,
    "rescaling": _rescaling,
    "name": _word,
    "model_sha256": _word,
    "task": _task,
}
