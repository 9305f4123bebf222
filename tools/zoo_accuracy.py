"""The accuracies of the published networks (recipes/zoo) beside what they cost, as a table in Markdown.

    python tools/zoo_accuracy.py FILE.csv [--data SOURCE]

The finished runs in the store of the current folder are measured on all three splits and written to FILE, beside those
that it has from elsewhere; of runs of one recipe and seed the newest counts, and what was measured is not measured
again. The table is of all that is in FILE then. Training clips are heard as they are, not augmented.
"""

import argparse
import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hybridq.audio import NEGATIVES  # noqa: E402
from hybridq.compare import has_result  # noqa: E402
from hybridq.errors import UserError  # noqa: E402
from hybridq.measurement import measured_on  # noqa: E402
from hybridq.recipe import Recipe  # noqa: E402
from hybridq.recipe_file import load_recipe  # noqa: E402
from hybridq.run_log import WEIGHTS  # noqa: E402
from hybridq.tracking import RunView, open_store  # noqa: E402
from hybridq.trained import find_trained  # noqa: E402

FAMILIES = ("hello-edge", ".", "lmu")  # folders, whose networks in 8 bits are in a folder `int8` there
SPLITS = ("training", "validation", "test")
ACCURACIES = (*(f"{split} %" for split in SPLITS), "test, commands alone %")
COSTS = ("flash KiB", "RAM KiB", "MACC M")
MINUTES = "training minutes"
Row = dict[str, str]


def main() -> None:
    """Measure what is new, add it to the file, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="made where it does not exist")
    parser.add_argument("--data", help="clips; without it those of each run's recipe")
    given = parser.parse_args()
    try:
        recipes = [load_recipe(file) for file in files()]
        rows = read(given.file)
        for run in sorted(open_store(make=False).runs(), key=lambda run: run.started):
            key = run.tags.get("recipe", ""), run.params.get("training.seed", "")
            known = rows.get(key, {}).get(WEIGHTS)
            if any(key[0] == one.name for one in recipes) and has_result(run) and known != run.tags[WEIGHTS]:
                rows[key] = row(run, given.data)
        order = {one.name: place for place, one in enumerate(recipes)}
        rows = {key: rows[key] for key in sorted(rows, key=lambda key: (order[key[0]], int(key[1])))}
        write(given.file, rows)
        print("\n".join(table(recipes, rows)))
    except UserError as error:
        sys.exit(str(error))


def files() -> list[Path]:
    """The recipes, each float network before the one in 8 bits."""
    zoo = ROOT / "recipes" / "zoo"
    floats = [file for family in FAMILIES for file in sorted((zoo / family).glob("*.yaml"))]
    both = [(file, file.parent / "int8" / file.name) for file in floats]
    return [file for pair in both for file in pair if file.exists()]


def row(run: RunView, data: str | None) -> Row:
    """A run's accuracies, of its integer network where that is what was trained, and its costs."""
    trained = find_trained(run.id, open_store(make=False))
    results = [measured_on(trained, data, split).result for split in SPLITS]
    commands = [place for place, word in enumerate(results[-1].labels) if word not in NEGATIVES]
    confusion = results[-1].confusion
    right, said = (one[commands].sum() for one in (confusion.diagonal(), confusion.sum(axis=1)))
    figures = (*(one.accuracy for one in results), 100 * right / said)
    found = {name: f"{figure:.4f}" for name, figure in zip(ACCURACIES, figures, strict=True)}
    costs = {name: f"{run.metrics[name]:.4f}" for name in (*COSTS, MINUTES)}
    seed = run.params["training.seed"]
    return {"recipe": run.tags["recipe"], "seed": seed, **found, **costs, WEIGHTS: run.tags[WEIGHTS]}


def read(file: Path) -> dict[tuple[str, str], Row]:
    """The rows of a file that `write` has written, by recipe and seed; none where it does not exist."""
    if not file.exists():
        return {}
    with file.open(newline="") as lines:
        return {(row["recipe"], row["seed"]): row for row in csv.DictReader(lines)}


def write(file: Path, rows: dict[tuple[str, str], Row]) -> None:
    """All rows, in their order."""
    names = ["recipe", "seed", *ACCURACIES, *COSTS, MINUTES, WEIGHTS]
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


def table(recipes: list[Recipe], rows: dict[tuple[str, str], Row]) -> list[str]:
    """Its lines: a line for each recipe and seed."""
    printed = {one.name: one.published.accuracy for one in recipes if one.published}
    lines = ["| " + " | ".join(["recipe", "seed", *ACCURACIES, "printed %", *COSTS]) + " |"]
    lines.append("|---|--:|" + "--:|" * (len(ACCURACIES) + 1 + len(COSTS)))
    for (name, seed), row in rows.items():
        accuracies = [f"{float(row[name]):.2f}" for name in ACCURACIES]
        costs = [f"{float(row[cost]):.{2 if cost == 'MACC M' else 1}f}" for cost in COSTS]
        beside = f"{printed[name]:g}" if printed.get(name) else ""
        lines.append("| " + " | ".join([f"`{name}`", seed, *accuracies, beside, *costs]) + " |")
    return lines


if __name__ == "__main__":
    main()
