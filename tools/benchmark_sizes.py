"""Networks of Hello Edge's space drawn and sized a second, beside building them with Keras and reading the graph.

python tools/benchmark_sizes.py
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hybridq.models import build_model
from hybridq.models.config import CONFIGS
from hybridq.profiler.hello_edge import size
from hybridq.searching.networks import FAMILIES, Network, draw
from hybridq.speech.settings import FeatureSettings

CLASSES, TURNS = 12, 5
DRAWN, BUILT = 2_000, 4  # networks of a family in a turn


def main() -> None:
    """Print a line a family: the median of the turns, the least and the most."""
    for family in FAMILIES:
        some = drawn(family, 50)[:BUILT]
        build_and_size(some)  # loads TensorFlow
        closed = [pace(drawn, family, DRAWN, count=DRAWN) for _ in range(TURNS)]
        built = [pace(build_and_size, some, count=len(some)) for _ in range(TURNS)]
        print(f"{family:12} closed forms {told(closed)} a second; built {told(built)} a second")


def drawn(family: str, count: int) -> list[Network]:
    """Networks of a family, with their sizes."""
    rng = random.Random(0)
    return [network for _ in range(count) if (network := draw(rng, family, FeatureSettings(), CLASSES))]


def build_and_size(networks: list[Network]) -> None:
    """The slow way; it must come to the same."""
    for network in networks:
        shape = network.features["coefficients"], network.features["frames"]
        config = CONFIGS[network.model["name"]](**network.model)
        assert size(build_model(config, shape, CLASSES)) == network.size


def pace(work: Callable[..., object], *arguments: object, count: int) -> float:
    """How many a second."""
    start = time.perf_counter()
    work(*arguments)
    return count / (time.perf_counter() - start)


def told(paces: list[float]) -> str:
    """The median, and the range."""
    return f"{statistics.median(paces):,.0f} ({min(paces):,.0f} to {max(paces):,.0f})"


if __name__ == "__main__":
    main()
