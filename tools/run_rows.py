"""Figures of finished runs in a CSV file that grows, a row for each run and seed; what the tools beside it share."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hybridq.results.compare import has_result
from hybridq.runs.log import WEIGHTS
from hybridq.tracking import RunView, Store

Row = dict[str, str]
Rows = Mapping[tuple[str, str], Row]  # by recipe and seed


def finished(store: Store, names: Sequence[str]) -> Iterator[tuple[tuple[str, str], RunView]]:
    """The finished runs of these recipes, the oldest first."""
    for run in sorted(store.runs(), key=lambda run: run.started):
        if (name := run.tags.get("recipe", "")) in names and has_result(run):
            yield (name, run.params["training.seed"]), run


def row_of(run: RunView, figures: Mapping[str, float]) -> Row:
    """Its recipe and seed, the figures, and the digest of its weights."""
    named = {"run": run.tags["recipe"], "seed": run.params["training.seed"]}
    return named | {key: f"{figure:.4f}" for key, figure in figures.items()} | {WEIGHTS: run.tags[WEIGHTS]}


def read(file: Path) -> dict[tuple[str, str], Row]:
    """The rows of a file that `write` has written; none where it does not exist."""
    if not file.exists():
        return {}
    with file.open(newline="") as lines:
        return {(row["run"], row["seed"]): row for row in csv.DictReader(lines)}


def write(file: Path, rows: Rows) -> None:
    """All rows, in their order."""
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, next(iter(rows.values()), {}), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


def ordered(rows: Rows, names: Sequence[str]) -> dict[tuple[str, str], Row]:
    """The rows of these recipes, in their order, and by seed."""
    kept = (key for key in rows if key[0] in names)
    return {key: rows[key] for key in sorted(kept, key=lambda key: (names.index(key[0]), int(key[1])))}
