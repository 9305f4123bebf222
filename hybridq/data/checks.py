"""Whether arrays are what can be trained on, told before anything is; and the digest of what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.task import Floats, Task
from hybridq.errors import UserError

CHUNK_BYTES = 64 * 2**20  # looked at at once: an array may be larger than the memory
NO_NUMBER = "a NaN or an infinity in it, or is beyond float32"
MOST_CLASSES = 1_000
NORMAL = "normal"  # the class of what is no anomaly, where classes have names


def chunks(array: NDArray[Any], places: NDArray[np.int64] | None = None) -> Iterator[NDArray[Any]]:
    """An array, or the examples at these places of it, in parts that fit into memory."""
    row = max(1, array[:1].nbytes)
    step = max(1, CHUNK_BYTES // row)
    count = len(array) if places is None else len(places)
    for first in range(0, count, step):
        yield array[first : first + step] if places is None else array[places[first : first + step]]


def digest_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 (hex) of arrays with their names, types and shapes."""
    whole = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        whole.update(repr((name, array.dtype.str, array.shape)).encode())
        for part in chunks(array) if array.ndim else [array]:
            whole.update(np.ascontiguousarray(part).tobytes())
    return whole.hexdigest()


def check_inputs(name: str, array: NDArray[Any]) -> None:
    """Raise UserError, beginning with the array's name, for what are no finite numbers (examples, *shape)."""
    kind = array.dtype.kind
    if kind not in "biuf" or array.dtype.itemsize > 8:
        raise UserError(f"{name}: must be whole or real numbers (is {array.dtype})")
    if array.ndim < 2 or 0 in array.shape[1:]:
        raise UserError(f"{name}: must be (examples, ...), a row for each example (is {array.shape})")
    if not len(array):
        raise UserError(f"{name}: has no examples")
    if kind == "f":
        at = 0
        for part in chunks(array):
            finite = np.isfinite(floats_of(part)).reshape(len(part), -1).all(1)
            if not finite.all():
                raise UserError(f"{name}: example {at + int(np.argmin(finite))} has {NO_NUMBER}")
            at += len(part)


def floats_of(values: NDArray[Any]) -> Floats:
    """Numbers as a network reads them; infinite where float32 does not reach."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def check_length(name: str, array: NDArray[Any], beside: str, count: int) -> None:
    """Raise UserError where an array has not a row for each example."""
    if not array.ndim or len(array) != count:
        raise UserError(f"{name}: has {len(array) if array.ndim else 0} examples, {beside} has {count}")


def numbers_of(name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """The numbers to learn, (examples, outputs); UserError for what is none."""
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name}: task: regress learns real numbers (is {array.dtype})")
    if array.ndim not in (1, 2):
        raise UserError(f"{name}: must be (examples,) or (examples, outputs) (is {array.shape})")
    numbers = floats_of(array).reshape(len(array), -1)
    finite = np.isfinite(numbers).all(1)
    if not finite.all():
        raise UserError(f"{name}: example {int(np.argmin(finite))} has {NO_NUMBER}")
    return numbers


def labels_of(array: NDArray[Any]) -> tuple[str, ...]:
    """The names of classes (classes,), as text or whole numbers; UserError for what are none."""
    names = tuple(map(str, array.tolist())) if array.ndim == 1 and array.dtype.kind in "iuU" else ()
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise UserError(f"labels: must be (classes,), two names or more, all different (is {array.dtype}{array.shape})")
    return names


def classes_of(
    arrays: Mapping[str, NDArray[Any]], given: Sequence[str] | None, first: str
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """The names of the classes, and those arrays as indices into them; `first` is the array of the training split.

    `given` are the names, where they are known. Raises UserError for what are no classes, and for those out of range.
    """
    for name, array in arrays.items():
        if array.ndim != 1:
            hint = ": take argmax over its columns" if array.ndim == 2 and array.shape[1] > 1 else ""
            raise UserError(f"{name}: must be (examples,), a class for each (is {array.shape}){hint}")
        if array.dtype.kind not in "biuU":
            hint = "; task: regress learns real numbers" if array.dtype.kind == "f" else ""
            raise UserError(f"{name}: classes are whole numbers from 0, or text (is {array.dtype}){hint}")
    if any(array.dtype.kind == "U" for array in arrays.values()):
        names = tuple(given) if given else tuple(sorted({str(one) for array in arrays.values() for one in array}))
        index = {label: place for place, label in enumerate(names)}
        return names, {name: _looked_up(name, array, index) for name, array in arrays.items()}
    largest = max(int(array.max()) for array in arrays.values())
    if largest >= MOST_CLASSES:
        raise UserError(f"{first}: a class {largest:,}; at most {MOST_CLASSES:,} can be told apart")
    names = tuple(given) if given else tuple(map(str, range(largest + 1)))
    for name, array in arrays.items():
        wrong = (array < 0) | (array >= len(names)) if array.dtype.kind == "i" else array >= len(names)
        if wrong.any():
            place = int(np.argmax(wrong))
            raise UserError(f"{name}: example {place} is of class {array[place]}; there are 0 to {len(names) - 1}")
    return names, {name: np.asarray(array, np.int64) for name, array in arrays.items()}


def check_classes(name: str, truth: NDArray[np.int64], labels: Sequence[str]) -> None:
    """Raise UserError where there are not two classes, or training has no example of one of them."""
    if len(labels) < 2:
        raise UserError(f"{name}: there is one class, '{labels[0]}': two or more can be told apart")
    missing = [label for place, label in enumerate(labels) if place not in set(truth.tolist())]
    if missing:
        raise UserError(f"{name}: no training example of class {', '.join(missing[:3])}")


def anomalies_of(truth: NDArray[np.int64], labels: Sequence[str], named: bool) -> NDArray[np.int64]:
    """1 where an example is of another class than the normal one, which is called `normal` or, without names, 0."""
    if named and NORMAL not in labels:
        raise UserError(f"task: reconstruct: no class '{NORMAL}' among {', '.join(labels[:5])}")
    anomalous: NDArray[np.int64] = (truth != (labels.index(NORMAL) if named else 0)).astype(np.int64)
    return anomalous


def targets_name(task: Task) -> str:
    """What the array y holds, for a person."""
    return {Task.CLASSIFY: "classes", Task.REGRESS: "numbers", Task.RECONSTRUCT: "normal or not"}[task]


def _looked_up(name: str, array: NDArray[Any], index: Mapping[str, int]) -> NDArray[np.int64]:
    unknown = [str(one) for one in np.unique(array).tolist() if str(one) not in index]
    if unknown:
        raise UserError(f"{name}: '{unknown[0]}' is none of the classes {', '.join(list(index)[:8])}")
    return np.array([index[str(one)] for one in array.tolist()], np.int64)
