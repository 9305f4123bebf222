"""The memory report of a model file beside loading the same file with Keras: fresh processes, one run, in turns.

python tools/benchmark_profile.py [MODEL.keras]     (default: a network of fifty layers, made for the purpose)
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TURNS = 5
WAYS = {
    "hybridq profile": ["-m", "hybridq", "profile"],
    "keras.models.load_model": ["-c", "import sys, keras; keras.models.load_model(sys.argv[1])"],
}


def main() -> None:
    """Print seconds and the largest memory of both, and the ratio of the seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path)
    model = parser.parse_args().model
    with tempfile.TemporaryDirectory() as scratch:
        path = model or _fifty_layers(Path(scratch) / "fifty.keras")
        took: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(TURNS):
            for way, command in WAYS.items():
                took[way].append(_measured([sys.executable, *command, str(path)]))
    for way, turns in took.items():
        seconds, mib = zip(*turns, strict=True)
        print(
            f"{way}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), {max(mib):.0f} MiB"
        )
    report, load = took.values()
    ratios = [slow / fast for (fast, _), (slow, _) in zip(report, load, strict=True)]
    print(f"{statistics.median(ratios):.1f} times faster ({min(ratios):.1f} to {max(ratios):.1f} over {TURNS} turns)")


def _measured(command: list[str]) -> tuple[float, float]:
    """Seconds and largest memory in MiB of a process, which a process of its own starts, to measure that one alone."""
    code = (
        "import resource, subprocess as s, sys; status = s.run(sys.argv[1:], stdout=s.DEVNULL).returncode; "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(status)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command], stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - start, int(done.stdout) / 1024


def _fifty_layers(path: Path) -> Path:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    from keras import layers

    inputs = x = keras.Input((64, 64, 3))
    for block in range(12):  # four layers each
        x = layers.Conv2D(16 + 4 * block, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
        x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    keras.Model(inputs, layers.Dense(10)(x)).save(path)
    return path


if __name__ == "__main__":
    main()
