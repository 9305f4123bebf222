"""What a start costs: the imports of a training, as they are and as the command line makes them, in turns.

    python tools/benchmark_start.py [--turns 5]

Each import is a process of its own. Processor time counts: other work on the machine hardly changes it.
"""

import argparse
import os
import statistics
import subprocess
import sys

IMPORTS = "import tensorflow, keras, qkeras, mlflow"
LARGE = f"with large_import('tensorflow'):\n    {IMPORTS}"
WAYS = {
    "as they are": IMPORTS,
    "without a search for garbage": f"from hybridq.backend.startup import large_import\n{LARGE}",
    "and without what nobody here calls": (
        f"from hybridq.backend.startup import large_import, spare_imports\nspare_imports()\n{LARGE}"
    ),
}


def main() -> None:
    """Print a table: processor seconds of each way, median and range."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(turns):
        for way, code in WAYS.items():
            taken[way].append(_processor_seconds(code))
    print(f"| import of TensorFlow, Keras, QKeras and MLflow | s, of {turns} turns |\n|---|--:|")
    for way, seconds in taken.items():
        print(f"| {way} | {statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f}) |")


def _processor_seconds(code: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main()
