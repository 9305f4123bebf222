"""An integer network beside its `.tflite` file in every runtime that is installed, on real clips.

python tools/compare_tflite.py FOLDER_OR_HQN --data FOLDER --clips 1000

LiteRT comes with `pip install ai-edge-litert`, TensorFlow Lite for Microcontrollers with `pip install --pre
tflite-micro`. All of them compute the same sums as the integer network, and make results of them by a rounding of their
own; the last column counts the clips whose logits are all those of the integer network with that rounding put in.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybridq.integer import arithmetic
from hybridq.integer.artefact import NETWORK, load_network
from hybridq.integer.network import INT8, IntegerNetwork, Integers, Layer, Requantization, Weighted
from hybridq.integer.scaling import Reals
from hybridq.paths import cache_root
from hybridq.runs.load_network import chain_of
from hybridq.speech.audio import open_source
from hybridq.speech.dataset import Dataset
from hybridq.tflite.convert import tflite
from hybridq.tflite.numbers import bits_of, norm, scale_of, sums_of
from hybridq.tflite.runtimes import runtimes

Rounding = Callable[[Integers, Reals], Integers]  # from sums and scales by channel to results
UNCHANGED = Requantization(np.array([2**32]), np.array([0]), -(2**31), 2**31 - 1)  # leaves a sum as it is
BATCH = 32  # clips at a time: the tensors of all would fill the memory


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path, help="a folder that `hybridq export` wrote, or an integer network (.hqn)")
    parser.add_argument("--data", required=True, help="a folder of recordings, whose test clips are heard")
    parser.add_argument("--clips", type=int, default=1000)
    asked = parser.parse_args()
    network = load_network(asked.network / NETWORK if asked.network.is_dir() else asked.network)
    end, normalisation, labels = chain_of(network)
    features, truth = Dataset(open_source(asked.data), labels, end, cache_root()).inputs("test", normalisation)
    chosen = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), asked.clips)).astype(np.int64))
    inputs, truth = arithmetic.quantized(features[chosen].astype(np.float64), network.input_fraction), truth[chosen]
    parts = range(BATCH, len(inputs), BATCH)
    wanted = arithmetic.logits(network, inputs)
    content = tflite(network)
    print(f"{len(inputs)} test clips; integer network: {100 * np.mean(wanted.argmax(1) == truth):.2f} % right")
    head = "same class | accuracy % | same logits % | largest difference | all logits as rounded there"
    print(f"\n| runtime ({len(content):,} bytes) | {head} |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, run in runtimes(content).items():
        logits = run(inputs)[0].astype(np.int64)
        apart = np.abs(logits - wanted)
        same, right = (int((logits.argmax(1) == other).sum()) for other in (wanted.argmax(1), truth))
        cells = f"{same} of {len(inputs)}", f"{100 * right / len(inputs):.2f}", f"{100 * np.mean(apart == 0):.1f}"
        rounding = next(one for key, one in ROUNDINGS.items() if key in name)
        its_way = np.concatenate([rounded(network, part, rounding) for part in np.split(inputs, parts)])
        explained = f"{int((logits == its_way).all(1).sum())} of {len(inputs)}"
        print(f"| {name} | {' | '.join(cells)} | {apart.max()} | {explained} |", flush=True)


# ------------------------------------------------------------------------------------------------- roundings


def rounded(network: IntegerNetwork, inputs: NDArray[np.int8], by: Rounding) -> Integers:
    """The logits of an integer network in which the sums of weighted layers, and batch norms, are rounded so.

    Logits are rounded as all runtimes do in int16: half up, by a multiplier of 16 bits.
    """
    tensors = {network.input_name: inputs.astype(np.int64)}
    for layer in network.layers:
        made = _rounded(layer, tuple(tensors[name] for name in layer.inputs), by)
        tensors[layer.name] = made.reshape(len(inputs), *layer.shape)
    return tensors[network.layers[-1].name]


def _rounded(layer: Layer, inputs: arithmetic.Tensors, by: Rounding) -> Integers:
    if not isinstance(layer, Weighted):
        return arithmetic.computed(layer, inputs)
    found = stored(layer, inputs, by)
    if layer.table is not None:
        found = arithmetic.looked_up(found, layer.table)
    if layer.affine is not None:
        behind = norm(layer.affine)
        found = np.clip(by(found * behind.weights.ravel() + behind.bias, behind.scale), *INT8)
    return found


def stored(layer: Weighted, inputs: arithmetic.Tensors, by: Rounding) -> Integers:
    """The sums of a layer as a runtime stores them. XNNPACK leaves those of 4-bit weights to LiteRT's own kernels."""
    sums = arithmetic.computed(replace(layer, table=None, affine=None, out=UNCHANGED), inputs)
    channels = layer.shape[-1]
    finer = sums_of(layer.weights.reshape(1, 1, -1, channels), 3, layer.bias, layer.out, bits_of(layer))
    factor = np.rint(scale_of(layer.out) / finer.scale).astype(np.int64)
    if layer.is_wide:
        by = _logits
    elif finer.bits == 4 and by is _in_float32:
        by = _twice_up
    return np.clip(by(sums * factor, finer.scale), layer.out.low, layer.out.high)


def _in_float32(sums: Integers, scale: Reals) -> Integers:
    """A product in float32, its halves to even."""
    return np.rint(sums.astype(np.float32) * scale.astype(np.float32)).astype(np.int64)


def _twice_up(sums: Integers, scale: Reals) -> Integers:
    """To the 31 bits of the multiplier, then to the result, halves up."""
    multiplier, shift = _fixed_point(scale)
    return arithmetic.shifted(arithmetic.shifted(sums * multiplier, 31), shift)


def _twice_away(sums: Integers, scale: Reals) -> Integers:
    """The same, but the second time with halves away from zero."""
    multiplier, shift = _fixed_point(scale)
    first = arithmetic.shifted(sums * multiplier, 31)
    return np.sign(first) * arithmetic.shifted(np.abs(first), shift)


def _logits(sums: Integers, scale: Reals) -> Integers:
    multiplier, shift = _fixed_point(scale)
    return arithmetic.shifted(sums * np.minimum(arithmetic.shifted(multiplier, 16), 2**15 - 1), 15 + shift)


def _fixed_point(scale: Reals) -> tuple[Integers, Integers]:
    """A multiplier of 31 bits and a shift, of scales below 1."""
    fraction, exponent = np.frexp(scale.astype(np.float32))
    return (fraction * 2.0**31).astype(np.int64), -exponent.astype(np.int64)


ROUNDINGS: dict[str, Rounding] = {"XNNPACK": _in_float32, "own kernels": _twice_up, "tflite-micro": _twice_away}


if __name__ == "__main__":
    main()
