"""The `search:` section of a recipe: keys, and which values of each a search may try.

::

    search:
      model.filters: {scale: [0.5, 1.5]}                  # all numbers of the list by one factor
      model.dropout: {range: [0, 0.5]}
      training.learning_rate: {log: [0.0005, 0.008]}
      training.batch: {choices: [32, 64, 128]}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hybridq.errors import UserError
from hybridq.recipe.variants import named, setting
from hybridq.settings.tree import Key, Override, node_of, shown

if TYPE_CHECKING:
    from hybridq.recipe.schema import Recipe
    from hybridq.recipe.sections import SearchAxis

MULTIPLE = 4  # of a scaled number: kernels on a microcontroller take four weights at once


class Suggests(Protocol):
    """What proposes values: a trial of Optuna, or one whose values are fixed."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any: ...


@dataclass(frozen=True)
class Axis:
    """A key, what may be tried, and the value that the recipe has itself (None where it says nothing)."""

    key: str
    place: str
    values: SearchAxis
    own: Any

    def setting(self, trial: Suggests) -> Override:
        """The key with a value that the trial proposes."""
        return setting(self.key, node_of(self._proposed(trial), self.place), "search")

    def _proposed(self, trial: Suggests) -> Any:
        if self.values.choices is not None:
            texts = [json.dumps(value) for value in self.values.choices]  # Optuna keeps no lists
            return json.loads(trial.suggest_categorical(self.key, texts))
        if self.values.scale:
            factor = _rounded(trial.suggest_float(self.key, *self.values.scale, log=True))
            return (
                [_scaled(one, factor) for one in self.own] if isinstance(self.own, list) else _scaled(self.own, factor)
            )
        pair = self.values.range or self.values.log
        assert pair
        low, high = pair
        log = self.values.log is not None
        if self._whole(low, high):
            return trial.suggest_int(self.key, round(low), round(high), log=log)
        return _rounded(trial.suggest_float(self.key, low, high, log=log))

    def _whole(self, low: float, high: float) -> bool:
        if self.own is None:
            return low.is_integer() and high.is_integer()
        return isinstance(self.own, int)

    def check(self) -> None:
        """Raise UserError where the values are not for this key."""
        numbers = self.own if isinstance(self.own, list) else [self.own]
        if self.values.scale and not all(type(number) is int for number in numbers):
            raise UserError(f"{self.place}: search.{self.key}: scale is for whole numbers (is {shown(self.own)})")
        if self.values.choices is None and isinstance(self.own, list | str | dict | bool) and not self.values.scale:
            raise UserError(f"{self.place}: search.{self.key}: a range is for a number (is {shown(self.own)})")


def axes_of(recipe: Recipe) -> list[Axis]:
    """The axes of the `search` section of a recipe; raises UserError, naming the line, for what it cannot try."""
    if not recipe.search:
        raise UserError(f"{recipe.path}: --trials needs a search section: keys, and which values of each to try")
    every = recipe.model_dump(mode="json")
    axes = [Axis(key, recipe.where("search", key), axis, _at(every, key)) for key, axis in recipe.search.items()]
    for axis in axes:
        axis.check()
    return axes


def settings_of(axes: Sequence[Axis], trial: Suggests, name: str) -> list[Override]:
    """What a trial sets in the recipe of that name, and the name of its run."""
    settings = [axis.setting(trial) for axis in axes]
    return named(settings, name, {one.key for one in settings}, axes[0].place)


def _at(values: Any, key: str) -> Any:
    path: Key = tuple(key.split("."))
    for part in path:
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _scaled(number: int, factor: float) -> int:
    return max(MULTIPLE, MULTIPLE * round(number * factor / MULTIPLE))


def _rounded(number: float) -> float:
    """Three digits, so that a name and a recipe can be read."""
    return float(f"{number:.3g}")
