"""An integer network beside its `.tflite` file in every runtime that is installed, on real clips.

python tools/compare_tflite.py FOLDER_OR_HQN --data FOLDER --clips 1000

LiteRT comes with `pip install ai-edge-litert`, TensorFlow Lite for Microcontrollers with `pip install --pre
tflite-micro`; without the former, TensorFlow's own interpreter runs the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hybridq.audio import open_source
from hybridq.dataset import Dataset
from hybridq.deploy import arithmetic
from hybridq.deploy.artefact import load_network
from hybridq.deploy.export import NETWORK, chain_of
from hybridq.deploy.tflite import tflite
from hybridq.deploy.tflite_runtimes import runtimes
from hybridq.paths import cache_root


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
    parts = np.array_split(inputs, -(-len(inputs) // 64))
    wanted = np.concatenate([arithmetic.logits(network, part) for part in parts])
    content = tflite(network)
    print(f"{len(inputs)} test clips; integer network: {100 * np.mean(wanted.argmax(1) == truth):.2f} % right")
    print(f"\n| runtime ({len(content):,} bytes) | same class | accuracy % | same logits % | largest difference |")
    print("|---|--:|--:|--:|--:|")
    for name, run in runtimes(content).items():
        logits = run(inputs)[0].astype(np.int64)
        apart = np.abs(logits - wanted)
        same, right = (int((logits.argmax(1) == other).sum()) for other in (wanted.argmax(1), truth))
        cells = f"{same} of {len(inputs)}", f"{100 * right / len(inputs):.2f}", f"{100 * np.mean(apart == 0):.1f}"
        print(f"| {name} | {' | '.join(cells)} | {apart.max()} |", flush=True)


if __name__ == "__main__":
    main()
