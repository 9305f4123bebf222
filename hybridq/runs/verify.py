"""What `hybridq verify` does: an exported folder built, run, and compared with its network.

What it is tried on are hostile examples made up here, or those of a data set. A network with a front end hears sounds:
the input that the C front end makes of them and the logits must be exact (`image.verify`); the classes of the whole
chain may differ from those by Python's front end where a feature is rounded otherwise. A network by itself reads
integers, made of the numbers that are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data import given
from hybridq.data.task import Task
from hybridq.errors import UserError
from hybridq.image import toolchain
from hybridq.image import verify as image
from hybridq.image.export import SOURCES, not_exported
from hybridq.image.folder import named
from hybridq.image.tensors import classes_of
from hybridq.image.verification import Agreement
from hybridq.integer import arithmetic
from hybridq.integer.answers import answers_of, beyond, inputs_of, range_note
from hybridq.integer.artefact import NETWORK, load_network
from hybridq.integer.network import IntegerNetwork, Shape
from hybridq.paths import cache_root
from hybridq.runs.export import c_front_end_of, origin
from hybridq.runs.load_network import NO_SOUND, chain_of, standardisation_of
from hybridq.runs.verification import Verification
from hybridq.speech.audio import open_source
from hybridq.speech.audio.negatives import commands_of
from hybridq.speech.audio.progress import bar
from hybridq.speech.augmentation import centred
from hybridq.speech.c_front_end import FULL_SCALE, CFrontEnd
from hybridq.speech.dataset import Dataset
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.training.evaluation import evaluated

Ints8 = NDArray[np.int8]


@dataclass(frozen=True)
class Examples:
    """What an image is tried on: made-up hostile examples where nothing is named.

    data: a source of clips as in recipes, for a network that hears sound. inputs and labels: files or arrays for any
    other one (see `hybridq.data.given`). most: examples on this machine, evenly spread over all; emulated: of these, on
    the board (None: all).
    """

    data: str | None = None
    inputs: given.Source | None = None
    labels: given.Source | None = None
    most: int = 1000
    emulated: int | None = None

    def on_board(self, count: int) -> NDArray[np.int64]:
        """The positions of those for the board, of so many."""
        return given.spread(count, count if self.emulated is None else self.emulated)

    def check(self, hears_sound: bool, folder: Path) -> None:
        """Raise UserError for what such a network cannot be tried on."""
        if self.labels and not self.inputs:
            raise UserError(f"--labels {self.labels}: the classes of --inputs, which is not given")
        if self.data and not hears_sound:
            raise UserError(f"{folder}: {NO_SOUND}; --inputs names what it is to be tried on, instead of --data")
        if self.inputs and hears_sound:
            raise UserError(f"{folder}: this network hears sound; --data names the clips, instead of --inputs")


def verify(
    folder: Path, examples: Examples | None = None, compiler: str | None = None, changed: bool = False
) -> Verification:
    """Build and check an exported folder; its C runs on this machine as any program does.

    compiler: zig or gcc, else the first that is installed; changed: also where that C is not what `export` writes.
    Raises UserError where it is not, where the image does not fit, saying which layers take most, and where the folder
    holds no export.
    """
    examples = examples or Examples()
    if folder.is_file():
        raise UserError(f"{folder}: a file; `hybridq export {folder} --out image` makes a folder of it, to verify")
    if not (folder / NETWORK).is_file() or not (folder / SOURCES).is_dir():
        raise UserError(f"{folder}: nothing exported here; `hybridq export RUN --out {folder}` writes it")
    exported_from = origin(folder)
    toolchain.require_emulator()
    network = load_network(folder / NETWORK)
    front_end = c_front_end_of(network)
    examples.check(front_end is not None, folder)
    strangers = [] if changed else not_exported(folder, network, front_end)
    if strangers:
        raise UserError(
            f"{folder}: {named(strangers)} not as this version of `hybridq export` writes it, so it is not run on this "
            "machine; export again, or verify it with --changed"
        )
    if front_end:
        return _hearing(folder, network, front_end, examples, compiler, exported_from)
    integers, truth, note = _inputs(network, examples)
    few = examples.on_board(len(integers))
    figures, outputs = image.verify(folder, network, None, integers, few, compiler, bar)
    accuracy = r2 = None
    if truth is not None and classes_of(network):
        accuracy = 100 * float(np.mean(arithmetic.classes_in(outputs[0], network.results[0].stands_for.zero) == truth))
    elif truth is not None:
        numbers = answers_of(network, outputs)[0].reshape(truth.shape)
        r2 = evaluated(Task.REGRESS, numbers, truth, truth, ()).score
    return Verification(**vars(figures), chain=None, accuracy=accuracy, r2=r2, note=note, **exported_from)


def _inputs(network: IntegerNetwork, examples: Examples) -> tuple[Ints8, NDArray[Any] | None, str]:
    """Of a network that reads what it is given: integers (n, *shape), and where it is known what they should give.

    Classes (n,), or numbers (n, *shape of the output). And what there is to know of them, "" for nothing.
    """
    if not examples.inputs:
        return hostile_inputs(network.input_shape), None, ""
    samples = given.samples(examples.inputs, network.input_shape, grid=network.input_grid)
    chosen = given.spread(len(samples), examples.most)
    read = standardisation_of(network).apply(samples.part(chosen))
    integers, note = inputs_of(network, read), range_note(network, beyond(network, read))
    if not examples.labels:
        return integers, None, note
    among = classes_of(network)
    if len(network.results) > 1:
        raise UserError(f"--labels {examples.labels}: this network has several outputs; without it all are compared")
    if not among:
        shape = network.results[0].shape
        sequence = len(shape) == 3 and shape[0] == 1  # an image of one row
        numbers = given.targets(examples.labels, len(samples), shape[sequence:]).part(chosen)
        if network.description.task is Task.RECONSTRUCT:  # of what it reads, which is standardised
            numbers = standardisation_of(network).apply(numbers)
        return integers, numbers, note
    truth = given.classes(examples.labels, len(samples), network.description.labels, among)
    return integers, truth[chosen], note


def _hearing(
    folder: Path,
    network: IntegerNetwork,
    front_end: CFrontEnd,
    examples: Examples,
    compiler: str | None,
    exported_from: dict[str, Any],
) -> Verification:
    """Of a network that hears sound."""
    end, _, labels = chain_of(network)
    sounds, truth = hostile_sounds(end), None
    if examples.data:
        sounds, truth = _test_clips(end, labels, examples.data, examples.most)
    few = examples.on_board(len(sounds))
    figures, (logits, *_) = image.verify(folder, network, front_end, sounds, few, compiler, bar)
    answers = logits.argmax(1)
    inputs = matrix(end, front_end.normalisation, network.input_fraction, sounds)
    expected = arithmetic.classes(network, inputs.reshape(-1, *network.input_shape))
    return Verification(
        **vars(figures),
        chain=Agreement.of(answers == expected),
        accuracy=None if truth is None else 100 * float(np.mean(answers == truth)),
        **exported_from,
    )


def matrix(end: FrontEnd, normalisation: Normalisation, fraction: int, sound: NDArray[np.int16]) -> Ints8:
    """What a network reads of sound (samples,) or (clips, samples), by Python: (..., coefficients, frames that fit)."""
    features = normalisation.apply(end.mfcc(np.asarray(sound) / np.float32(FULL_SCALE)))
    return arithmetic.quantized(features.astype(np.float64), fraction)


def hostile_inputs(shape: Shape) -> Ints8:
    """Zeros, both extremes, their changes in turn, ramps, single values, and noise of all levels: (16, *shape)."""
    random, size = np.random.default_rng(0), int(np.prod(shape))
    place = np.arange(size)
    turns = np.where(place % 2 == 0, 127, -128)
    ramp = place * 255 // max(size - 1, 1) - 128
    single = np.where(place == size // 2, 127, 0)
    noise = [random.normal(0, 2.0**level, size) for level in range(7)]
    every = [0 * place, 0 * place + 127, 0 * place - 128, turns, -1 - turns, ramp, -1 - ramp, single, *noise]
    every.append(random.integers(-128, 128, size))
    inputs: Ints8 = np.clip(np.rint(np.stack(every)), -128, 127).astype(np.int8)
    return inputs.reshape(-1, *shape)


def hostile_sounds(end: FrontEnd) -> NDArray[np.int16]:
    """Silence, a constant, squares and tones at full scale, clicks, and noise of all levels: (16, end.samples)."""
    random, time = np.random.default_rng(0), np.arange(end.samples)
    square = np.where(time // 20 % 2 == 0, 32767, -32768)
    tones = [32767 * np.sin(2 * np.pi * time * hertz / end.sample_rate) for hertz in (50, 440, 3000)]
    sweep = 32767 * np.sin(np.pi * time**2 / len(time) / 2)
    clicks = np.where(time % 4000 == 0, -32768, 0)
    noise = [random.normal(0, 2.0**level, len(time)) for level in range(0, 16, 2)]
    every = [0 * time, 0 * time - 32768, square, clicks, sweep, *tones, *noise]
    sounds: NDArray[np.int16] = np.clip(np.rint(np.stack(every)), -32768, 32767).astype(np.int16)
    return sounds


def _test_clips(
    end: FrontEnd, labels: tuple[str, ...], data: str, count: int
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Test clips (clips, samples), evenly spread over all, and their classes (clips,)."""
    audio = open_source(data, negatives=commands_of(labels) != labels)
    split = Dataset(audio, labels, end, cache_root()).split("test")
    chosen = given.spread(len(split.sounds), count)
    samples = np.rint(centred(split.sounds[chosen], end.samples) * FULL_SCALE)
    return samples.astype(np.int16), split.truth[chosen]
