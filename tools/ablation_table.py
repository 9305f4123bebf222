"""What each run of a sweep differs from its first one by, seed by seed, as a table in Markdown.

    python tools/ablation_table.py RECIPE [--seeds 0,1,2]

RECIPE has a `sweep` section, and its runs are in the store of the current folder; of runs of one name the newest
counts. A difference is the mean over the seeds, of a run and the first one of the same seed, with its standard error.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hybridq.compare import has_result
from hybridq.errors import UserError
from hybridq.experiment import run_name
from hybridq.recipe_file import load_variants
from hybridq.tracking import open_store

MEASURES = {"test accuracy %": 2, "validation accuracy best %": 2, "validation cross-entropy": 3}  # decimals


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--seeds", default="0,1,2", help="as of the sweep")
    given = parser.parse_args()
    try:
        print("\n".join(table(given.recipe, given.seeds.split(","))))
    except UserError as error:
        sys.exit(str(error))


def table(recipe: Path, seeds: Sequence[str]) -> list[str]:
    """Its lines; raises UserError where a recipe or a store cannot be read, or a run is missing."""
    store = open_store(make=False)
    finished = {run.name: run.metrics for run in sorted(store.runs(), key=lambda run: run.started) if has_result(run)}
    rows: dict[str, list[Mapping[str, float]]] = {}
    for seed in seeds:
        for variant in load_variants(recipe, [f"training.seed={seed}"]):
            if not finished.get(run_name(variant), {}).keys() >= MEASURES.keys():
                raise UserError(f"there is no finished run '{run_name(variant)}' here: hybridq sweep {recipe} makes it")
            rows.setdefault(variant.name, []).append(finished[run_name(variant)])
    first = next(iter(rows.values()))
    lines = ["| | " + " | ".join(f"{name} | difference" for name in MEASURES) + " |"]
    lines.append("|---|" + "--:|--:|" * len(MEASURES))
    for name, runs in rows.items():
        cells = [cell for key in MEASURES for cell in cells_of(key, runs, None if runs is first else first)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def cells_of(
    key: str, runs: Sequence[Mapping[str, float]], others: Sequence[Mapping[str, float]] | None
) -> tuple[str, str]:
    """A measure of each seed, and the mean difference from those of the other runs with its standard error."""
    digits = MEASURES[key]
    values = ", ".join(f"{run[key]:.{digits}f}" for run in runs)
    if others is None:
        return values, ""
    apart = [run[key] - other[key] for run, other in zip(runs, others, strict=True)]
    error = f" ± {statistics.stdev(apart) / len(apart) ** 0.5:.{digits}f}" if len(apart) > 1 else ""
    return values, f"{statistics.mean(apart):+.{digits}f}{error}"


if __name__ == "__main__":
    main()
