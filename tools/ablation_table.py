"""What each run of a sweep differs from its first one by, seed by seed, as a table in Markdown.

    python tools/ablation_table.py RECIPE FILE.csv

RECIPE has a `sweep` section. Its finished runs in the store of the current folder are written to FILE, beside those
that it has from elsewhere and that RECIPE still names; of runs of one name and seed the newest counts. The table is of
all that is in FILE then. A difference is the mean over the seeds, of a run and the first one of the same seed, with its
standard error.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from run_rows import Rows, finished, ordered, read, row_of, write

from hybridq.errors import UserError
from hybridq.recipe.file import load_variants
from hybridq.tracking import open_store

MEASURES = {"test accuracy %": 2, "validation accuracy best %": 2, "validation cross-entropy": 3}  # decimals
MINUTES = "training minutes"


def main() -> None:
    """Add to the file, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("file", type=Path, help="made where it does not exist")
    given = parser.parse_args()
    try:
        names = [variant.name for variant in load_variants(given.recipe)]
        rows = read(given.file)
        for key, run in finished(open_store(make=False), names):
            rows[key] = row_of(run, {name: run.metrics[name] for name in (*MEASURES, MINUTES)})
        rows = ordered(rows, names)
        write(given.file, rows)
        print("\n".join(table(names, rows)))
    except UserError as error:
        sys.exit(str(error))


def table(names: Sequence[str], results: Rows) -> list[str]:
    """Its lines, of the runs that have a result; a difference only where the first run has the same seeds."""
    seeds = {name: sorted((seed for run, seed in results if run == name), key=int) for name in names}
    lines = ["| | seeds | " + " | ".join(f"{name} | difference" for name in MEASURES) + " |"]
    lines.append("|---|---|" + "--:|--:|" * len(MEASURES))
    for name in filter(seeds.get, names):
        both = [seed for seed in seeds[name] if seed in seeds[names[0]]]
        cells = [", ".join(seeds[name])]
        for key, digits in MEASURES.items():
            cells.append(", ".join(f"{float(results[name, seed][key]):.{digits}f}" for seed in seeds[name]))
            apart = [float(results[name, seed][key]) - float(results[names[0], seed][key]) for seed in both]
            cells.append(difference(apart, digits) if name != names[0] else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def difference(apart: Sequence[float], digits: int) -> str:
    """The mean, and its standard error where there are several."""
    if not apart:
        return "-"
    error = f" ± {statistics.stdev(apart) / len(apart) ** 0.5:.{digits}f}" if len(apart) > 1 else ""
    return f"{statistics.mean(apart):+.{digits}f}{error}"


if __name__ == "__main__":
    main()
