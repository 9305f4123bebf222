"""From blocks of samples to answers: a FIFO of columns, and an inference every few of them.

A network with memories of its own (`hybridq.models.lmu`) hears every column once, in their order, and is never reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridq.integer import arithmetic, online
from hybridq.integer.answers import inputs_of, numbers_of
from hybridq.integer.network import IntegerNetwork
from hybridq.models import lmu
from hybridq.quantization.model import is_grid
from hybridq.runs.load_network import Trained
from hybridq.runs.measurement import INTEGER, KERAS
from hybridq.speech.decision import softmax
from hybridq.speech.mfcc import Floats, FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.streaming.rule import Answer, Moment, Rule, heard, moments

if TYPE_CHECKING:
    import keras

Network = Callable[[Floats], NDArray[np.float64]]  # inputs (n, coefficients, frames, 1) to probabilities (n, classes)


@dataclass(frozen=True)
class Spotter:
    """A network with what it needs to hear; `counts` says which of a trained one's two forms it is.

    One that is `online` is given every column, as a matrix of one frame, and remembers what it was given before.
    """

    name: str
    front_end: FrontEnd
    normalisation: Normalisation
    labels: tuple[str, ...]
    network: Network
    counts: str
    online: bool = False


def spotter(trained: Trained) -> Spotter:
    """The integer network where that is what was trained or all there is, else the Keras model.

    Raises UserError for a network that hears no sound.
    """
    hears = trained.hears
    if trained.bundle:
        model = trained.bundle.model
        if not (trained.integers and any(map(is_grid, model.layers))):
            remembers = lmu.is_online(model)
            network = _stream(model) if remembers else model.predict_on_batch
            return Spotter(trained.name, *hears, network, KERAS, remembers)
    assert trained.integers
    remembers = online.is_online(trained.integers)
    network = _integer_stream(trained.integers) if remembers else _integer(trained.integers)
    return Spotter(trained.name, *hears, network, INTEGER, remembers)


def _stream(model: keras.Model) -> Network:
    stream = lmu.online(model)
    return lambda frames: np.concatenate([stream.predict_on_batch(frame[None]) for frame in frames])


def _integer(network: IntegerNetwork) -> Network:
    grid = network.results[0].stands_for
    return lambda inputs: softmax(numbers_of(arithmetic.logits(network, inputs_of(network, inputs)), grid))


def _integer_stream(network: IntegerNetwork) -> Network:
    stream, grid = online.Streams(network), network.results[0].stands_for

    def answer(frames: Floats) -> NDArray[np.float64]:
        inputs = inputs_of(stream.network, frames)
        return softmax(numbers_of(np.concatenate([stream.answer(frame[None]) for frame in inputs]), grid))

    return answer


def matrices(blocks: Iterable[NDArray[np.float32]], end: FrontEnd, every: int) -> Iterator[tuple[int, Floats]]:
    """(samples heard, features (coefficients, frames)) every so many columns, from the first full matrix on.

    The features are those of `end.mfcc` over the same samples, to the last bit.
    """
    fifo = np.zeros(end.shape, np.float32)
    for count, column in enumerate(end.stream(iter(blocks)), 1):
        fifo = np.concatenate([fifo[:, 1:], column[:, None]], axis=1)
        if count >= end.frames and (count - end.frames) % every == 0:
            yield (count - 1) * end.hop + end.window, fifo


def answers(blocks: Iterable[NDArray[np.float32]], spotter: Spotter, every: int, at_once: int = 1) -> Iterator[Answer]:
    """What the network says, inference by inference; `at_once`: how many wait for each other, 1 for a live stream."""
    end = spotter.front_end
    waiting = matrices(blocks, replace(end, frames=1), 1) if spotter.online else matrices(blocks, end, every)
    while part := list(islice(waiting, at_once)):
        inputs = spotter.normalisation.apply(np.stack([features for _, features in part]))[..., None]
        probabilities = np.asarray(spotter.network(inputs), np.float64)
        yield from (
            (sample, one) for (sample, _), one in zip(part, probabilities, strict=True) if _is_due(sample, end, every)
        )


def _is_due(sample: int, end: FrontEnd, every: int) -> bool:
    """Whether there is an inference after so many samples: also an online network answers from a full matrix on."""
    columns = (sample - end.window) // end.hop + 1
    return columns >= end.frames and (columns - end.frames) % every == 0


def prepare(spotter: Spotter) -> None:
    """What the first answer waits for, imports and a traced model: done before a microphone is open."""
    end = spotter.front_end
    features = end.mfcc(np.zeros(end.samples, np.float32))
    if not spotter.online:  # which would remember it
        spotter.network(spotter.normalisation.apply(features[None])[..., None])


def listen(blocks: Iterable[NDArray[np.float32]], spotter: Spotter, rule: Rule) -> Iterator[tuple[Moment, bool]]:
    """Every moment of a stream of samples, float in [-1, 1], and whether a command is heard at it."""
    smoothed = moments(answers(blocks, spotter, rule.every), spotter.labels, rule.smoothing)
    return heard(smoothed, rule.threshold, rule.refractory)
