"""What differs between two runs: their recipes, what they were made with, and their figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.settings.tree import dotted
from hybridq.settings.yamlfile import read_yaml
from hybridq.tracking.metrics import METRICS

if TYPE_CHECKING:
    from rich.table import Table

    from hybridq.tracking import RunView, Store

RECIPE = "recipe.yaml"
ABSENT = "-"
NOT_COMPARED = ("published",)  # it stands in the recipe, but changes nothing about the run
MADE_WITH = {  # tag -> what to call it
    "data.name": "data set",
    "data.digest": "data digest",
    "data.words": "words",
    "backend": "Keras backend",
    "mlflow.source.git.commit": "commit",
    "commit.changed": "changed after the commit",
}
VERSION = "version."


@dataclass(frozen=True)
class Line:
    """One thing, and what it is in each of the two runs."""

    section: str  # "recipe", "made with" or "figures"
    key: str
    left: str
    right: str


@dataclass(frozen=True)
class RunDiff:
    """Two runs; of the recipes and of what they were made with only what differs, of the figures all."""

    names: tuple[str, str]
    lines: tuple[Line, ...]

    def to_json(self) -> dict[str, Any]:
        """`{"schema": 1, "runs": [left, right], "lines": [{"section", "key", "left", "right"}, ...]}`."""
        return {"schema": 1, "runs": list(self.names), "lines": [vars(line) for line in self.lines]}

    def to_csv(self) -> str:
        """A line for each difference, with a heading."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("section", "key", *self.names))
        writer.writerows((line.section, line.key, line.left, line.right) for line in self.lines)
        return out.getvalue()

    def to_markdown(self) -> str:
        """A table for a README, a line for each difference."""
        rows = [("", "", *self.names), ("---",) * 4]
        rows += [(line.section, line.key, line.left, line.right) for line in self.lines]
        return "".join(
            f"| {' | '.join(row)} |\n" for row in ([cell.replace("|", "\\|") for cell in row] for row in rows)
        )

    def to_rich(self) -> Table:
        """A table for a terminal, a section after the other."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        grid = Table(box=SIMPLE_HEAD, pad_edge=False)
        for heading in ("", *self.names):
            grid.add_column(heading, overflow="fold")
        for section in ("recipe", "made with", "figures"):
            inside = [line for line in self.lines if line.section == section]
            grid.add_row(Text(section if inside else f"{section}: the same", style="bold"))
            for line in inside:
                grid.add_row(Text(f"  {line.key}"), Text(line.left), Text(line.right))
        return grid


def run_diff(store: Store, left: str, right: str) -> RunDiff:
    """What differs between two runs, each given by id or name; raises UserError for one that is not there."""
    runs = store.find(left), store.find(right)
    recipes = [recipe_of(store, run) for run in runs]
    if None in recipes:  # a run of long ago, or one that was started elsewhere: its parameters tell almost the same
        recipes = [run.params for run in runs]
    parts = (
        ("recipe", differing([recipe or {} for recipe in recipes])),
        ("made with", differing([_made_with(run) for run in runs])),
        ("figures", [(name, _figures(name, runs)) for name in _figure_names(runs)]),
    )
    lines = [Line(section, key, *texts) for section, part in parts for key, texts in part]
    names = [f"{run.name} ({run.id[:8]})" for run in runs]
    return RunDiff((names[0], names[1]), tuple(lines))


def recipe_of(store: Store, run: RunView) -> Mapping[str, Any] | None:
    """The recipe that a run has logged, as plain data; None if it has none that can be read."""
    with suppress(UserError, OSError):
        recipe = read_yaml(store.download(run.id, RECIPE)).plain()
        if isinstance(recipe, dict):
            return {key: value for key, value in recipe.items() if key not in NOT_COMPARED}
    return None


def differing(trees: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """The keys, dotted, whose values are not the same in all of these mappings, with each one's value as text.

    A mapping that some lack is one line; a whole recipe within one (`start_from`) is told by its name.
    """
    return [(dotted(key), tuple(map(_text, values))) for key, values in _differing(trees, ())]


def _differing(values: Sequence[Any], key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Sequence[Any]]]:
    if all(isinstance(value, Mapping) for value in values):
        for name in dict.fromkeys(name for value in values for name in value):
            yield from _differing([value.get(name) for value in values], (*key, name))
    elif any(value != values[0] for value in values):
        yield key, values


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value["name"]) if "name" in value else ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return str(value).lower()
    return ABSENT if value is None else str(value)


def _made_with(run: RunView) -> dict[str, str]:
    versions = {f"version of {k.removeprefix(VERSION)}": v for k, v in run.tags.items() if k.startswith(VERSION)}
    return {name: run.tags[tag] for tag, name in MADE_WITH.items() if tag in run.tags} | versions


def _figure_names(runs: Sequence[RunView]) -> list[str]:
    """Every metric of the result that one of the runs has."""
    return [name for name, metric in METRICS.items() if not metric.by_epoch and any(name in r.metrics for r in runs)]


def _figures(name: str, runs: Sequence[RunView]) -> tuple[str, ...]:
    digits = METRICS[name].digits
    return tuple(f"{run.metrics[name]:.{digits}f}" if name in run.metrics else ABSENT for run in runs)
