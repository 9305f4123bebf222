"""What a sweep costs beyond the training itself, and what a second worker brings: all ways in one run.

    python tools/benchmark_sweep.py --data FOLDER [--recipe FILE] [--epochs 3] [--runs 4]

The runs are seeds of one recipe. Overhead is the wall time of the sweep less what its runs say they trained, shared by
the runs, the start of the program included. The cache of features is filled before.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "paper" / "fp32.yaml"
CORES = len(os.sched_getaffinity(0))
WAYS = {
    "in this process": [],
    "2 workers": ["--workers", "2"],
    "in this process, 1 thread": ["--threads", "1"],
    "2 workers, 1 thread each": ["--workers", "2", "--threads", "1"],
}


def main() -> None:
    """Print wall time, training time, overhead and throughput of each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of clips, or synthetic")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--runs", type=int, default=4)
    asked = parser.parse_args()
    print(f"{asked.runs} runs of {asked.epochs} epochs of {asked.recipe.stem}, {CORES} cores")
    print("| way | wall s | training s, all runs | overhead s a run | runs an hour |\n|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder) / "warm-up", asked, seeds=1, epochs=1, options=[])
        for name, options in WAYS.items():
            wall, training = made(Path(folder) / name.replace(" ", "-"), asked, asked.runs, asked.epochs, options)
            at_once = 2 if "--workers" in options else 1
            overhead = (wall - training / at_once) / asked.runs
            print(
                f"| {name} | {wall:.0f} | {training:.0f} | {overhead:.1f} | {3600 * asked.runs / wall:.0f} |",
                flush=True,
            )


def made(folder: Path, asked: argparse.Namespace, seeds: int, epochs: int, options: list[str]) -> tuple[float, float]:
    """Run one sweep in a store of its own; wall time, and the training time of all its runs (s)."""
    from hybridq.tracking import open_store

    folder.mkdir()
    data = asked.data if asked.data == "synthetic" else str(Path(asked.data).resolve())
    command = [sys.executable, "-m", "hybridq", "sweep", str(asked.recipe.resolve()), "--data", data]
    command += ["--seeds", ",".join(map(str, range(seeds))), "--set", f"training.epochs={epochs}", *options]
    with (folder / "said.txt").open("w") as said:
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, stdout=said, stderr=said, check=True)
        wall = time.perf_counter() - start
    runs = open_store(folder / "mlruns").runs()
    return wall, 60 * sum(run.metrics.get("training minutes", 0.0) for run in runs)


if __name__ == "__main__":
    main()
