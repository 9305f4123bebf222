"""The sizes of the published networks (recipes/zoo) as tables in Markdown, and as a picture; nothing is trained.

python tools/size_zoo.py [PICTURE.png]     (default: docs/results/zoo.png)
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hybridq.errors import UserError  # noqa: E402
from hybridq.graph.reader import Graph  # noqa: E402
from hybridq.precision import PrecisionPlan  # noqa: E402
from hybridq.profiler import profile, target  # noqa: E402
from hybridq.profiler.hello_edge import Size, size  # noqa: E402
from hybridq.recipe.file import load_recipe  # noqa: E402
from hybridq.recipe.sections import Published  # noqa: E402
from hybridq.results.drawing import save  # noqa: E402
from hybridq.results.scatter import memory_over_operations  # noqa: E402
from hybridq.runs.experiment import graph_of  # noqa: E402

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
CLASSES = {"S": "small", "M": "medium", "L": "large"}
OTHERS = {
    "bc_resnet_1": "BC-ResNet-1",
    "tc_resnet_8": "TC-ResNet8",
    "tenet_6_narrow": "TENet6-narrow",
    "svdf": "SVDF",
}
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
        (family, mark): ZOO / "hello-edge" / f"{stem}_{mark.lower()}.yaml"
        for stem, family in FAMILIES.items()
        for mark in CLASSES
    }
    files |= {(name, ""): ZOO / f"{stem}.yaml" for stem, name in OTHERS.items()}
    as_printed = [("network", "parameters", "MAC M", "memory KB", "printed", "operations M", "printed")]
    further = [("network", "flash KiB", "RAM KiB", "38 x 55: parameters", "MAC M", "memory KB", "operations M")]
    points: dict[str, list[tuple[float, float]]] = {}
    for (family, mark), file in files.items():
        recipe = load_recipe(file)
        graph, name = graph_of(recipe), f"{family} {mark}".strip()
        found = size(graph)
        points.setdefault(family, []).append((found.operations / 1e6, found.memory_bytes / 1e3))
        as_printed.append((name, *beside_printed(found, recipe.published)))
        further.append((name, *packed(graph), *on_our_features(file)))
    for rows in (as_printed, further):
        lines = [rows[0], ("---", *["--:"] * (len(rows[0]) - 1)), *rows[1:]]
        print("\n".join("| " + " | ".join(line) + " |" for line in lines), end="\n\n")
    targets = {mark: target(f"hello-edge-{name}") for mark, name in CLASSES.items()}
    limits = {mark: ((one.operations or 0) / 1e6, (one.memory_bytes or 0) / 1e3) for mark, one in targets.items()}
    save(memory_over_operations(points, limits), picture)


def beside_printed(found: Size, printed: Published | None) -> tuple[str, ...]:
    """A network's size on its own features, memory and operations beside the printed ones."""
    parameters, macs, memory, operations = written(found)
    figures = (printed.memory_kb, printed.operations_m) if printed else (None, None)
    of_memory, of_operations = (f"{figure:g}" if figure else "" for figure in figures)
    return parameters, macs, memory, of_memory, operations, of_operations


def packed(graph: Graph) -> tuple[str, ...]:
    """Flash and RAM with everything in 8 bits; a star where there is no such image and they are sums over layers."""
    report = profile(graph, plan=EIGHT_BITS, accounting="packed")
    sizes = (report.totals.flash_bytes, report.totals.ram_bytes)
    return tuple(f"{count / 1024:.1f}{'*' * bool(report.no_image)}" for count in sizes)


def on_our_features(file: Path) -> tuple[str, ...]:
    """A network's size on the features of the reference recipes; dashes where it cannot take them."""
    try:
        return written(size(graph_of(load_recipe(file, [FEATURES]))))
    except UserError:
        return ("-",) * 4


def written(found: Size) -> tuple[str, ...]:
    """A size as cells: parameters, million MAC, KB, million operations."""
    mega = f"{found.macs / 1e6:.3f}", f"{found.operations / 1e6:.3f}"
    return f"{found.parameters:,}", mega[0], f"{found.memory_bytes / 1e3:.2f}", mega[1]


if __name__ == "__main__":
    main()
