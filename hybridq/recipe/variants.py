"""The `sweep:` section of a recipe: the runs that one file asks for, each a list of settings.

A mapping is a grid, every combination a run; a list names the runs one by one::

    sweep:
      training.learning_rate: [0.001, 0.004]
      training.seed: [0, 1, 2]

    sweep:
      - {name: small, "model.filters": [8, 8, 16, 16, 32, 32]}
      - {name: long, training.epochs: 90}
"""

from __future__ import annotations

import hashlib
import itertools
from pathlib import PurePath

from hybridq.errors import UserError
from hybridq.settings.tree import Node, Override, shown

MOST_RUNS = 1_000
LONGEST_NAME = 100  # characters
SEED = ("training", "seed")  # the runs of several seeds share their recipe's name


def variants_of(section: Node | None, name: str) -> list[list[Override]]:
    """The settings of each run, with a `name` that says what is special about it; none for an empty section.

    `name` is the recipe's. Raises UserError, naming the line, for anything else than a grid or a list.
    """
    if section is None or section.value is None:
        return []
    if isinstance(section.value, dict):
        runs = _grid(section)
    elif isinstance(section.value, list):
        _check_count(section.place, len(section.value), "runs")
        runs = [_settings(item) for item in section.value]
    else:
        raise UserError(f"{section.place}: sweep: must be a mapping or a list (is {shown(section.plain())})")
    keys = {one.key for run in runs for one in run}
    return [named(run, name, keys, section.place) for run in runs]


def _grid(section: Node) -> list[list[Override]]:
    axes = []
    for key, values in section.mapping.items():
        if not isinstance(values.value, list) or not values.value:
            given = shown(values.plain())
            raise UserError(f"{values.place}: sweep.{key}: must be a list of values to try (is {given})")
        axes.append([setting(key, value, "sweep") for value in values.value])
        count = 1
        for axis in axes:
            count *= len(axis)
        _check_count(values.place, count, "combinations")
    return [list(run) for run in itertools.product(*axes)] if axes else []


def _check_count(place: str, count: int, of: str) -> None:
    if count > MOST_RUNS:
        raise UserError(f"{place}: sweep: {count:,} {of}; at most {MOST_RUNS:,} runs")


def _settings(item: Node) -> list[Override]:
    if not item.mapping:
        raise UserError(f"{item.place}: sweep: each run is a mapping of keys to values (is {shown(item.plain())})")
    return [setting(key, value, "sweep") for key, value in item.mapping.items()]


def setting(key: str, value: Node, section: str) -> Override:
    """A dotted key of that section of a recipe, and a value for it; raises UserError for what is no such key."""
    parts = tuple(part.strip() for part in key.split("."))
    if not all(parts):
        raise UserError(f"{value.place}: {section}: '{key}' is not a key such as training.epochs")
    return Override(parts, value)


def named(run: list[Override], name: str, keys: set[tuple[str, ...]], place: str) -> list[Override]:
    """The settings of a run with a `name` that says what they are. `keys` are those of all runs."""
    if any(one.key == ("name",) for one in run):
        return run
    last = [key[-1] for key in keys]
    values = [
        f"{one.key[-1] if last.count(one.key[-1]) == 1 else '.'.join(one.key)}={_short(one.node)}"
        for one in run
        if one.key != SEED
    ]
    text = " ".join([name, *values])
    if len(text) > LONGEST_NAME:
        text = f"{text[: LONGEST_NAME - 9]} {hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return [*run, Override(("name",), Node(text, place))]


def _short(node: Node) -> str:
    """A value in a name, where no slash may stand: of a path the file's name."""
    value = node.plain()
    text = PurePath(value).stem if isinstance(value, str) else shown(value).replace(" ", "").replace("'", "")
    return text.replace("/", "-").replace("\\", "-")
