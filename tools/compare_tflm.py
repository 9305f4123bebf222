"""Our arena of TensorFlow Lite for Microcontrollers beside others' figures, as Markdown tables.

python tools/compare_tflm.py FOLDER      (with mlperf/, wakeword/, xcube/, modelzoo/: networks as .tflite files)

32-bit builds said `arena_used_bytes` of the networks of MLPerf Tiny; manifests declare an arena for wake words; the
package `tflite-micro` (`pip install --pre tflite-micro`) says its own of any file, on 64 bits.
"""

import argparse
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from hybridq.profiler.tflm.arena import allocate
from hybridq.profiler.tflm.code import code_bytes
from hybridq.profiler.tflm.model import Model, read_model
from hybridq.profiler.tflm.structs import CMSIS_NN, ESP_NN, ESP_NN_BEFORE, REFERENCE, Build, rounded

BUILDS = {  # arena_used_bytes; flash without the file: tflite-micro 90b983c2, CMSIS-NN 99f736a6, gcc 12.2.1
    "kws_ref_model": (22_820, 52_472),
    "vww_96_int8": (100_708, 52_472),
    "pretrainedResnet_quant": (54_996, 50_344),
    "pretrainedResnet_large_int8": (133_620, 50_344),
    "ad01_int8": (2_580, 27_296),
    "str_ww_ref_model": (16_596, 49_944),
}
PACKAGE = Build(pointer=8, enum=4, kernels=REFERENCE, package=True)
ASK = """
import sys
from tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=2**24).print_allocations()
"""


def main() -> None:
    """The three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print("| network | `arena_used_bytes` | ours | to reserve | code B | estimate |\n|---|--:|--:|--:|--:|--:|")
    for name, (used, code) in BUILDS.items():
        model = read_model(folder / "mlperf" / "models" / f"{name}.tflite")
        arena, ours = allocate(model, Build()), code_bytes(operators(model))
        off = "exact" if arena.used == used else f"{arena.used - used:+,}"
        sizes = f"{used:,} | {off} | {rounded(arena.needed, 16):,} | {code:,} | {ours:,} ({ours / code - 1:+.1%})"
        print(f"| {name} | {sizes} |")
    print(f"\n| wake word | declared | {CMSIS_NN} | {ESP_NN_BEFORE} | {ESP_NN} |\n|---|--:|--:|--:|--:|")
    for path in sorted((folder / "wakeword").glob("*.tflite")):
        declared = json.loads(path.with_suffix(".json").read_text())["micro"]["tensor_arena_size"]
        builds = (Build(), *(Build(enum=4, kernels=kernels) for kernels in (ESP_NN_BEFORE, ESP_NN)))
        sizes = (f"{rounded(allocate(read_model(path), build).needed, 16):,}" for build in builds)
        print(f"| {path.stem} | {declared:,} | {' | '.join(sizes)} |")
    if find_spec("tflite_micro"):
        print_package(sorted(folder.glob("*/models/*.tflite")) + sorted((folder / "wakeword").glob("*.tflite")))


def operators(model: Model) -> tuple[str, ...]:
    """The operators of a file, each once."""
    return tuple(dict.fromkeys(op.name for graph in model.subgraphs for op in graph.ops))


def print_package(paths: list[Path]) -> None:
    """The package's figures, head and tail of its arena, and ours."""
    print("\n| file | tensors and scratch | what stays | ours |\n|---|--:|--:|---|")
    for path in paths:
        said = subprocess.run(
            [sys.executable, "-c", ASK, str(path)], capture_output=True, text=True, check=False
        ).stderr
        parts = {part: int(size) for part, size in re.findall(r"allocation (head|tail) (\d+) bytes", said)}
        if not parts:
            print(f"| {path.stem[:60]} | refused | | |")
            continue
        found = allocate(read_model(path), PACKAGE)
        off = found.non_persistent - parts["head"], found.persistent - parts["tail"]
        print(f"| {path.stem[:60]} | {parts['head']:,} | {parts['tail']:,} | {'exact' if not any(off) else off} |")


if __name__ == "__main__":
    main()
