"""int8 `.tflite` files as images, measured beside TensorFlow Lite for Microcontrollers, and compared with LiteRT.

    python tools/compare_images.py ../shared/facts/mlperf [--examples 1000] [--emulated 50]

Of each model: the image is built and measured as `hybridq verify` does. Its outputs for random inputs must be those of
LiteRT's reference kernels, on this machine and, for some, on the emulated board; else the tool ends with status 1. The
figures of TensorFlow Lite for Microcontrollers with CMSIS-NN are those of the README in that folder. With kws01.npz
there, the official inputs of the keyword benchmark: the accuracy of the image.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np

import hybridq
from hybridq.data.given import InMemory
from hybridq.graph.tflite.file import read_network
from hybridq.integer.arithmetic import outputs
from hybridq.paths import scratch
from hybridq.runs.verify import Examples, verify
from hybridq.tflite.reading.network import ENDS

# Instructions (M), flash and arena (bytes): see the module's docstring.
OTHERS = {
    "kws_ref_model": (7.227, 106_408, 22_820),
    "vww_96_int8": (22.609, 385_760, 100_708),
    "pretrainedResnet_quant": (28.505, 148_840, 54_996),
    "pretrainedResnet_large_int8": (142.143, 562_368, 133_620),
    "ad01_int8": (0.573, 304_272, 2_580),
    "str_ww_ref_model": (2.117, 124_464, 16_596),
}
OFFICIAL = "kws01.npz"  # of kws_ref_model


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("facts", type=Path, help="a folder with models/ and kws01.npz")
    parser.add_argument("--examples", type=int, default=1000, help="random inputs of each model on this machine")
    parser.add_argument("--emulated", type=int, default=50, help="of these on the emulated board")
    asked = parser.parse_args()
    print(f"instructions, flash and RAM with the input; TFLM: with CMSIS-NN, by {asked.facts / 'README.md'}\n")
    print(
        "| model | instructions M | TFLM | flash B | TFLM | RAM B | TFLM arena | equal to LiteRT's reference kernels |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    every = [_row(asked.facts / "models" / f"{name}.tflite", asked) for name in OTHERS]
    official = asked.facts / OFFICIAL
    if official.exists():
        arrays = np.load(official)
        network = hybridq.load(asked.facts / "models" / "kws_ref_model.tflite")
        print(f"\nkws_ref_model on {OFFICIAL}: {network.evaluate(arrays['inputs'], arrays['labels'].astype(int))}")
    return 0 if all(every) else 1


def _row(path: Path, asked: argparse.Namespace) -> bool:
    """Prints the line of a model; whether all outputs were equal."""
    network = hybridq.load(path)
    shape = (asked.examples, *network.integers.input_shape)
    inputs = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    mine = outputs(network.integers, inputs)[0].reshape(len(inputs), -1)
    alike = int((mine == reference(path, inputs)).all(1).sum())
    with scratch() as place:
        folder = place / "image"
        network.export(folder)
        examples = Examples(inputs=InMemory.of("inputs", inputs), most=len(inputs), emulated=asked.emulated)
        found = verify(folder, examples)
        shutil.rmtree(folder)
    instructions, flash, arena = OTHERS[path.stem]
    ram = found.ram["tensors"] + found.ram["input of the program"]
    board = f"{found.board} on the board"
    print(
        f"| {path.stem} | {found.classify_instructions / 1e6:.3f} | {instructions:.3f} | {sum(found.flash.values()):,} "
        f"| {flash:,} | {ram:,} | {arena:,} | {alike:,} of {len(inputs):,}; {board} |",
        flush=True,
    )
    return alike == len(inputs) and found.exact


def reference(path: Path, inputs: np.ndarray) -> np.ndarray:
    """What LiteRT's reference kernels make of inputs: (n, numbers) of what stands before the last softmax."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    network = read_network(path)
    last = next(node for node in network.nodes if network.outputs[0] in node.outputs)
    index = last.inputs[0] if last.name in ENDS else network.outputs[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Interpreter(
            str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, experimental_preserve_all_tensors=True
        )
    made.allocate_tensors()
    (source,), answers = made.get_input_details(), []
    for one in inputs:
        made.set_tensor(source["index"], one.reshape(source["shape"]))
        made.invoke()
        answers.append(made.get_tensor(index).ravel().copy())
    return np.stack(answers)


if __name__ == "__main__":
    sys.exit(main())
