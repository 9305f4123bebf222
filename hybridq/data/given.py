"""Arrays that a command is given: `x.npy`, `x.npz` with one array in it, or `x.npz:name`; or a function, in memory.

They are mapped from their file, so that one may be larger than the memory; what is read of one is looked at when it is
read. Nothing in a file is executed. Every message begins with the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridq.data.arrays import read_arrays, read_npy
from hybridq.data.checks import MOST_CLASSES, NO_NUMBER, NORMAL, floats_of
from hybridq.data.task import Floats
from hybridq.errors import UserError, did_you_mean, first_line

SUFFIX, ARCHIVE = ".npy", ".npz"
NUMBERS = "biuf"  # kinds of types: truth values, whole numbers, real numbers

Places = slice | NDArray[np.int64]


@dataclass(frozen=True)
class InMemory:
    """An array that is no file's, by the name that messages give it."""

    name: str
    array: NDArray[Any]

    @classmethod
    def of(cls, name: str, values: ArrayLike) -> InMemory:
        """From whatever is like an array; UserError for rows of different lengths."""
        try:
            return cls(name, np.asarray(values))
        except ValueError as error:
            raise UserError(f"{name}: no array: {first_line(error)}") from None

    def __str__(self) -> str:
        return self.name


class Grid(Protocol):
    """What integers stand for: (integer - zero) * scale."""

    @property
    def scale(self) -> float: ...
    @property
    def zero(self) -> int: ...


Source = str | InMemory  # of an array: the name of a file, or an array itself


@dataclass(frozen=True)
class CheckedArray:
    """Numbers (n, *shape), a row for each sample, as `place` names them: what a network reads, or should answer."""

    place: str
    array: NDArray[Any]
    shape: tuple[int, ...]
    grid: Grid | None = None  # of int8 and uint8

    def __len__(self) -> int:
        return len(self.array)

    def part(self, which: Places) -> Floats:
        """Some of them (n, *shape). Raises UserError for a NaN or an infinity."""
        raw = np.asarray(self.array[which])
        if self.grid and raw.dtype in (np.int8, np.uint8):
            raw = (raw.astype(np.float64) - 128 * (raw.dtype == np.uint8) - self.grid.zero) * self.grid.scale
        read = floats_of(raw).reshape(len(raw), *self.shape)
        finite = np.isfinite(read).reshape(len(read), -1).all(1)
        if not finite.all():
            sample = np.arange(len(self))[which][int(np.argmin(finite))]
            raise UserError(f"{self.place}: sample {sample} has {NO_NUMBER}")
        return read

    def parts(self, rows: int) -> Iterator[tuple[slice, Floats]]:
        """All of them, so many at a time, with their places."""
        for first in range(0, len(self), rows):
            which = slice(first, min(first + rows, len(self)))
            yield which, self.part(which)


def samples(place: Source, shape: Sequence[int], does: str = "reads", grid: Grid | None = None) -> CheckedArray:
    """The samples in a file, for a network that reads this shape; axes of length 1 do not count.

    does: what a model does with them, for the message. grid: what int8 stand for, and uint8, which are 128 more;
    without one they are numbers as any others. Raises UserError for what are no numbers, of another shape, or none at
    all.
    """
    array, wanted = read_array(place), tuple(shape)
    _check_numbers(place, array)
    if not array.ndim or _long(array.shape[1:]) != _long(wanted):
        of_one = " (a single sample still needs the first axis)" if _long(array.shape) == _long(wanted) else ""
        raise UserError(
            f"{place}: must be {shown(('n', *wanted))}, as the model {does} (is {shown(array.shape)}){of_one}"
        )
    if not len(array):
        raise UserError(f"{place}: has no samples")
    return CheckedArray(str(place), array, wanted, grid)


def classes(place: Source, count: int, labels: Sequence[str], among: int) -> NDArray[np.int64]:
    """The class (count,) of each sample: whole numbers from 0 to `among` - 1, or text that is one of the labels.

    Raises UserError for what are no classes, another number of them, or one that there is not.
    """
    array = read_array(place)
    _check_count(place, array, count)
    if array.size != count:
        hint = ": take its argmax(1)" if array.ndim == 2 else ""
        raise UserError(f"{place}: must be (n,), the class of each sample (is {shown(array.shape)}){hint}")
    flat = np.asarray(array).reshape(count)
    if array.dtype.kind == "U":
        return _named(place, flat, labels)
    if array.dtype.kind not in "biu":
        raise UserError(f"{place}: classes are whole numbers from 0, or the labels as text (is {array.dtype})")
    wrong = (flat < 0) | (flat >= among)
    if wrong.any():
        sample = int(np.argmax(wrong))
        raise UserError(f"{place}: sample {sample} is of class {flat[sample]}; there are 0 to {among - 1}")
    return flat.astype(np.int64)


def anomalies(place: Source, count: int) -> NDArray[np.int64]:
    """1 where a sample (count,) is an anomaly: of another class than 0, or than `normal`. UserError as of `classes`."""
    array = read_array(place)
    names = tuple(np.unique(array).tolist()) if array.dtype.kind == "U" else ()
    of_class = classes(place, count, names, MOST_CLASSES)
    normal = names.index(NORMAL) if NORMAL in names else -1 if names else 0
    anomalous: NDArray[np.int64] = (of_class != normal).astype(np.int64)
    return anomalous


def is_one_hot(array: NDArray[Any]) -> bool:
    """Whether an array (n, classes) has a 1 in each row, and else 0."""
    return (
        array.ndim == 2
        and array.dtype.kind in "biuf"
        and bool(np.isin(array, (0, 1)).all() and (array.sum(1) == 1).all())
    )


def targets(place: Source, count: int, shape: Sequence[int]) -> CheckedArray:
    """The numbers of this shape that each sample stands for, (n, *shape). Raises UserError as `samples` does."""
    array = read_array(place)
    _check_count(place, array, count)
    return samples(place, shape, "answers")


def spread(count: int, most: int) -> NDArray[np.int64]:
    """The places of at most so many of `count`, evenly spaced over all of them."""
    chosen: NDArray[np.int64] = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
    return chosen


def read_array(place: Source) -> NDArray[Any]:
    """The array of that name, mapped where it can be. Raises UserError for what is none, or cannot be read."""
    if isinstance(place, InMemory):
        return place.array
    file, _, name = place.rpartition(":") if ARCHIVE + ":" in place else (place, "", "")
    path = Path(file)
    if path.suffix == SUFFIX:
        return read_npy(path)
    if path.suffix != ARCHIVE:
        raise UserError(f"{place}: must be an {SUFFIX} or {ARCHIVE} file, as numpy.save and numpy.savez write it")
    arrays = read_arrays(path)
    if not name and len(arrays) == 1:
        return next(iter(arrays.values()))
    if name not in arrays:
        which = f"no array {name!r} in it" if name else f"{len(arrays)} arrays in it: name one, as {place}:NAME"
        raise UserError(f"{file}: {which}; there are {', '.join(arrays) or 'none'}{did_you_mean(name, arrays)}")
    return arrays[name]


def shown(shape: Sequence[Any]) -> str:
    """A shape as Python writes it."""
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"


def _check_numbers(place: Source, array: NDArray[Any]) -> None:
    if array.dtype.kind not in NUMBERS or array.dtype.itemsize > 8:
        raise UserError(f"{place}: must be real or whole numbers (is {array.dtype})")


def _check_count(place: Source, array: NDArray[Any], count: int) -> None:
    there = len(array) if array.ndim else 0
    if there != count:
        raise UserError(f"{place}: is of {there:,} samples, and there are {count:,}")


def _named(place: Source, names: NDArray[Any], labels: Sequence[str]) -> NDArray[np.int64]:
    if not labels:
        raise UserError(f"{place}: classes by name, and this network has no labels: give whole numbers from 0")
    unknown = sorted(set(names.tolist()) - set(labels))
    if unknown:
        known = ", ".join(labels[:8]) + ", ..." * (len(labels) > 8)
        raise UserError(f"{place}: {unknown[0]!r} is none of the labels {known}{did_you_mean(unknown[0], labels)}")
    return np.array([labels.index(name) for name in names.tolist()], np.int64)


def _long(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without its axes of length 1."""
    return tuple(length for length in shape if length != 1)
