"""The accuracies of the published networks (recipes/zoo) beside what they cost, as a table in Markdown.

    python tools/zoo_accuracy.py FILE.csv [--data SOURCE]

The finished runs in the store of the current folder are measured on all three splits and written to FILE, beside those
that it has from elsewhere; of runs of one recipe and seed the newest counts, and weights that were measured are not
measured again. The table is of all that is in FILE then. Training clips are heard as they are, not augmented.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from run_rows import Rows, finished, ordered, read, row_of, write  # noqa: E402

from hybridq.errors import UserError  # noqa: E402
from hybridq.recipe.file import load_recipe  # noqa: E402
from hybridq.recipe.schema import Recipe  # noqa: E402
from hybridq.runs.load_network import Trained, find_trained  # noqa: E402
from hybridq.runs.log import WEIGHTS  # noqa: E402
from hybridq.runs.measurement import measured_on  # noqa: E402
from hybridq.speech.audio import NEGATIVES  # noqa: E402
from hybridq.tracking import open_store  # noqa: E402

FAMILIES = ("hello-edge", ".", "lmu")  # folders, whose networks in 8 bits are in a folder `int8` there
SPLITS = ("training", "validation", "test")
ACCURACIES = (*(f"{split} %" for split in SPLITS), "test, commands alone %")
COSTS = ("flash KiB", "RAM KiB", "MACC M")
MINUTES = "training minutes"


def main() -> None:
    """Measure what is new, add it to the file, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="made where it does not exist")
    parser.add_argument("--data", help="clips; without it those of each run's recipe")
    given = parser.parse_args()
    try:
        recipes = [load_recipe(file) for file in files()]
        names = [one.name for one in recipes]
        rows, store = read(given.file), open_store(make=False)
        for key, run in dict(finished(store, names)).items():
            known, costs = rows.get(key, {}), {name: run.metrics[name] for name in (*COSTS, MINUTES)}
            if known.get(WEIGHTS) == run.tags[WEIGHTS]:
                reached = {name: float(known[name]) for name in ACCURACIES}
            else:
                reached = accuracies(find_trained(run.id, store), given.data)
            rows[key] = row_of(run, reached | costs)
            write(given.file, ordered(rows, names))  # at once: a split of a recurrent network takes minutes
        rows = ordered(rows, names)
        print("\n".join(table(recipes, rows)))
    except UserError as error:
        sys.exit(str(error))


def files() -> list[Path]:
    """The recipes, each float network before the one in 8 bits."""
    zoo = ROOT / "recipes" / "zoo"
    floats = [file for family in FAMILIES for file in sorted((zoo / family).glob("*.yaml"))]
    both = [(file, file.parent / "int8" / file.name) for file in floats]
    return [file for pair in both for file in pair if file.exists()]


def accuracies(trained: Trained, data: str | None) -> dict[str, float]:
    """Of the integer network where that is what was trained, else of the Keras model."""
    results = [measured_on(trained, data, split).result for split in SPLITS]
    commands = [place for place, word in enumerate(results[-1].labels) if word not in NEGATIVES]
    confusion = results[-1].confusion
    right, said = (one[commands].sum() for one in (confusion.diagonal(), confusion.sum(axis=1)))
    return dict(zip(ACCURACIES, (*(one.accuracy for one in results), 100 * right / said), strict=True))


def table(recipes: list[Recipe], rows: Rows) -> list[str]:
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
