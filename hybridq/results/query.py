"""What can be asked of runs by name: their metrics, parameters and tags; filters and sort orders of them.

A column is a metric ("flash KiB"), a parameter ("training.epochs") or one of the tags in `TAGS`. `ALIASES` are short
names; so is the last part of a parameter's name where no other parameter ends so.
"""

from __future__ import annotations

import operator
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError, nearest
from hybridq.tracking.metrics import METRICS

if TYPE_CHECKING:
    from hybridq.tracking import RunView

TAGS: dict[str, Callable[[RunView], str | None]] = {
    "recipe": lambda run: run.tags.get("recipe"),
    "data": lambda run: run.tags.get("data.name"),
    "name": lambda run: run.name,
    "status": lambda run: run.status,
    "id": lambda run: run.id,
}
ALIASES = {
    "accuracy": "test accuracy %",
    "integer accuracy": "integer test accuracy %",
    "r2": "test R2 %",
    "auc": "test anomaly AUC",
    "word accuracy": "test mean word accuracy %",
    "flash": "flash KiB",
    "ram": "RAM KiB",
    "macc": "MACC M",
    "minutes": "training minutes",
    "network": "recipe",
}
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_FILTER = re.compile(r"\s*(?P<column>[^<>=!]+?)\s*(?P<sign><=|>=|!=|<|>|==?)\s*(?P<value>.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Filter:
    """One condition, `column sign value`; numbers are compared as numbers, all else as text."""

    column: str
    sign: str  # a key of OPERATORS
    value: str

    def keeps(self, run: RunView) -> bool:
        """Whether the run meets the condition.

        A run without the value does not, unless it never ended: then nobody knows, and it is kept to be named.
        """
        logged = value(run, self.column)
        if logged is None:
            return run.status != "FINISHED"
        left, right = number(logged), number(self.value)
        if left is not None and right is not None:
            return OPERATORS[self.sign](left, right)
        return self.sign in ("=", "!=") and OPERATORS[self.sign](str(logged), self.value)


def filtered(runs: Sequence[RunView], conditions: Iterable[str]) -> list[RunView]:
    """The runs that meet all conditions, each as "flash KiB<100" or "recipe=hybrid".

    Raises UserError for one that cannot be read, naming the nearest column where it names none of these runs.
    """
    filters = [_filter(text, runs) for text in conditions]
    return [run for run in runs if all(one.keeps(run) for one in filters)]


def ordered(groups: Sequence[Sequence[RunView]], column: str) -> list[Sequence[RunView]]:
    """Groups of runs by the mean of a column, or by its text; "-flash" is descending. Those without it come last."""
    name = find(column.removeprefix("-"), [run for group in groups for run in group], f"--sort {column}")
    keys = [(_of_group(group, name), group) for group in groups]
    numeric = all(isinstance(key, float | None) for key, _ in keys)
    there = [(key if numeric else str(key), group) for key, group in keys if key is not None]
    there.sort(key=lambda pair: pair[0], reverse=column.startswith("-"))
    return [group for _, group in there] + [group for key, group in keys if key is None]


def value(run: RunView, column: str) -> float | str | None:
    """What the run has in a column, under the column's full name."""
    if column in TAGS:
        return TAGS[column](run)
    return run.metrics.get(column, run.params.get(column))


def number(text: float | str) -> float | None:
    """The value as a number, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def find(word: str, runs: Iterable[RunView], where: str) -> str:
    """The full name of the column that a word means; raises UserError naming the nearest ones.

    Capitals do not matter. `where` begins the message.
    """
    known = list(dict.fromkeys([*TAGS, *METRICS, *(name for run in runs for name in (*run.metrics, *run.params))]))
    meant = ALIASES.get(word.lower(), word)
    if meant in known:
        return meant
    folded = [name for name in known if name.lower() == meant.lower()]
    ending = [name for name in known if name.rpartition(".")[2] == meant.lower()]
    if len(folded or ending) == 1:
        return (folded or ending)[0]
    if ending:
        raise UserError(f"{where}: '{word}' may be {' or '.join(ending)}")
    raise UserError(f"{where}: no column '{word}'; the nearest: {', '.join(nearest(word, (*ALIASES, *known), 3))}")


def _filter(text: str, runs: Sequence[RunView]) -> Filter:
    where = f"--filter '{text}'"
    parts = _FILTER.fullmatch(text)
    if not parts:
        raise UserError(f"{where}: must be a column, one of {' '.join(OPERATORS)} and a value, as in 'flash KiB<100'")
    sign = parts["sign"].replace("==", "=")
    if sign not in ("=", "!=") and number(parts["value"]) is None:
        raise UserError(f"{where}: '{parts['value']}' is not a number")
    return Filter(find(parts["column"], runs, where), sign, parts["value"])


def _of_group(group: Sequence[RunView], column: str) -> float | str | None:
    values = [one for one in (value(run, column) for run in group) if one is not None]
    numbers = [one for one in map(number, values) if one is not None]
    if values and len(numbers) == len(values):
        return statistics.fmean(numbers)
    return str(values[0]) if values else None
