"""The sizes of the published networks (recipes/zoo) as tables in Markdown, and as a picture; nothing is trained.

python tools/size_zoo.py [PICTURE.png]     (default: docs/results/zoo.png)
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hybridq.errors import UserError  # noqa: E402
from hybridq.experiment import graph_of  # noqa: E402
from hybridq.graph import Graph  # noqa: E402
from hybridq.pictures import memory_over_operations, save  # noqa: E402
from hybridq.precision import PrecisionPlan  # noqa: E402
from hybridq.profiler import profile, target  # noqa: E402
from hybridq.profiler.hello_edge import size  # noqa: E402
from hybridq.recipe import Recipe  # noqa: E402
from hybridq.recipe_file import load_recipe  # noqa: E402

ZOO = ROOT / "recipes" / "zoo"
FAMILIES = {  # Hello Edge's, by the beginning of their files' names
    "dnn": "DNN",
    "cnn": "CNN",
    "basic_lstm": "basic LSTM",
    "lstm": "LSTM",
    "gru": "GRU",
    "crnn": "CRNN",
    "ds_cnn": "DS-CNN",
}
SIZES = {"s": "small", "m": "medium", "l": "large"}
OTHERS = ("bc_resnet_1", "tc_resnet_8", "tenet_6_narrow", "svdf")
FEATURES = (
    "features={window: 512, hop: 256, transform: 512, coefficients: 38, frames: 55, mel_bands: 40, high_hz: 8000}"
)
EIGHT_BITS = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})


def main() -> None:
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", nargs="?", type=Path, default=ROOT / "docs" / "results" / "zoo.png")
    picture = parser.parse_args().picture
    files = {
        (family, mark): ZOO / "hello-edge" / f"{stem}_{mark}.yaml"
        for stem, family in FAMILIES.items()
        for mark in SIZES
    }
    files |= {(load_recipe(ZOO / f"{stem}.yaml").description or stem, ""): ZOO / f"{stem}.yaml" for stem in OTHERS}
    points: dict[str, list[tuple[float, float]]] = {}
    print(
        "| network | parameters | MAC M | memory KB | printed | operations M | printed"
        " | flash KiB | RAM KiB | on 38 x 55: parameters | MAC M | memory KB | operations M |"
    )
    print("|---|" + "--:|" * 12)
    for (family, mark), file in files.items():
        recipe = load_recipe(file)
        graph, name = graph_of(recipe), family.partition(" in float32")[0].partition(", ")[0]
        found = size(graph)
        points.setdefault(name, []).append((found.operations / 1e6, found.memory_bytes / 1e3))
        print("| " + " | ".join([f"{name} {mark.upper()}".strip(), *cells(recipe, graph), *cells_on_ours(file)]) + " |")
    classes = {mark.upper(): target(f"hello-edge-{name}") for mark, name in SIZES.items()}
    limits = {mark: ((one.operations or 0) / 1e6, (one.memory_bytes or 0) / 1e3) for mark, one in classes.items()}
    save(memory_over_operations(points, limits), picture)


def cells(recipe: Recipe, graph: Graph) -> list[str]:
    """The figures on the network's own features, beside the printed ones; flash and RAM with everything in 8 bits."""
    found, totals = size(graph), profile(graph, plan=EIGHT_BITS, accounting="packed")
    printed = recipe.published
    memory, operations = (printed.memory_kb, printed.operations_m) if printed else (None, None)
    estimate = " *" if totals.no_image else ""
    return [
        f"{found.parameters:,}",
        f"{found.macs / 1e6:.3f}",
        f"{found.memory_bytes / 1e3:.2f}",
        f"{memory:g}" if memory else "",
        f"{found.operations / 1e6:.3f}",
        f"{operations:g}" if operations else "",
        f"{totals.totals.flash_bytes / 1024:.1f}{estimate}",
        f"{totals.totals.ram_bytes / 1024:.1f}{estimate}",
    ]


def cells_on_ours(file: Path) -> list[str]:
    """The figures on the features of the reference recipes; dashes where the network cannot take them."""
    try:
        found = size(graph_of(load_recipe(file, [FEATURES])))
    except UserError:
        return ["-"] * 4
    return [
        f"{found.parameters:,}",
        f"{found.macs / 1e6:.3f}",
        f"{found.memory_bytes / 1e3:.2f}",
        f"{found.operations / 1e6:.3f}",
    ]


if __name__ == "__main__":
    main()
