"""The accuracy of a network with memories on clips that follow one another in a stream, which is never reset.

python tools/stateful_accuracy.py RUN [--data SOURCE] [--split SPLIT]

Clips by themselves begin with states of zero, which a device never has again. Here the clips of a split, in an order
drawn once for all, are shared out among streams; each is answered at its last frame, by the integer network.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hybridq.data.task import Floats  # noqa: E402
from hybridq.errors import UserError  # noqa: E402
from hybridq.integer.arithmetic import logits, quantized  # noqa: E402
from hybridq.integer.network import IntegerNetwork, Integers  # noqa: E402
from hybridq.integer.online import Streams, is_online  # noqa: E402
from hybridq.recipe.file import recipe_of  # noqa: E402
from hybridq.runs.clips import open_audio  # noqa: E402
from hybridq.runs.load_network import Trained, chain_of, find_trained  # noqa: E402
from hybridq.runs.sources import open_dataset  # noqa: E402
from hybridq.speech.audio.negatives import commands_of  # noqa: E402
from hybridq.speech.dataset import Dataset  # noqa: E402
from hybridq.tracking import open_store  # noqa: E402

STREAMS = 64


def main() -> None:
    """Print both accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run, a model's folder or an .hqn file")
    parser.add_argument("--data", help="clips; without it those of the run's recipe")
    parser.add_argument("--split", default="test", choices=("training", "validation", "test"))
    given = parser.parse_args()
    try:
        trained = find_trained(given.run, open_store(make=False))
        network = trained.integers
        if network is None or not is_online(network):
            raise UserError(f"{given.run}: it has no integer network with memories")
        inputs, truth = clips(trained, network, given.data, given.split)
    except UserError as error:
        sys.exit(str(error))
    alone = logits(network, quantized(inputs, network.input_fraction)).argmax(1)
    order = np.random.default_rng(0).permutation(len(inputs))
    behind = np.empty_like(alone)
    behind[order] = in_streams(network, inputs[order])
    print(f"{len(inputs)} {given.split} clips, each from states of zero: {100 * np.mean(alone == truth):.2f} %")
    print(f"in {STREAMS} streams that are never reset: {100 * np.mean(behind == truth):.2f} %")


def clips(trained: Trained, network: IntegerNetwork, data: str | None, split: str) -> tuple[Floats, Integers]:
    """What the network reads of a split, and its classes."""
    end, normalisation, labels = chain_of(network)
    if data is None and trained.bundle:
        return open_dataset(recipe_of(trained.bundle.recipe)).inputs(split, normalisation)
    if data is None:
        raise UserError("an integer network does not say what it was trained on; --data names the clips")
    from hybridq.paths import cache_root

    audio = open_audio(data, 240, commands_of(labels) != labels)
    return Dataset(audio, labels, end, cache_root()).inputs(split, normalisation)


def in_streams(network: IntegerNetwork, inputs: Floats) -> Integers:
    """The classes of clips (clips, coefficients, frames, 1); every stream hears its share of them in their order."""
    streams, shares = Streams(network, STREAMS), np.array_split(np.arange(len(inputs)), STREAMS)
    found = np.empty(len(inputs), np.int64)
    for place in range(max(map(len, shares))):
        heard = np.array([share[min(place, len(share) - 1)] for share in shares])  # the last of a short one twice
        sounds = quantized(inputs[heard], network.input_fraction)
        for at in range(sounds.shape[2]):
            said = streams.answer(sounds[:, :, [at]])
        fresh = np.array([place < len(share) for share in shares])
        found[heard[fresh]] = said.argmax(1)[fresh]
    return found


if __name__ == "__main__":
    main()
