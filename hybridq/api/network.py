"""The integer network of a model: what a device computes, to be measured, kept, and written as C."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridq.data import given
from hybridq.data.given import InMemory
from hybridq.data.task import Task
from hybridq.errors import UserError
from hybridq.integer.answers import activations, answers, beyond, inputs_of, range_note
from hybridq.integer.artefact import load_network, save_network
from hybridq.integer.checks import check
from hybridq.integer.convert import convert as converted
from hybridq.integer.description import Description
from hybridq.integer.network import IntegerNetwork
from hybridq.quantization.functional import functional
from hybridq.quantization.load_model import load_model
from hybridq.runs.export import c_front_end_of
from hybridq.runs.load_network import standardisation_of
from hybridq.tflite.reading import read_tflite
from hybridq.training.evaluation import Result, both_classes, evaluated, evaluation

if TYPE_CHECKING:
    import keras

    from hybridq.runs.verification import Verification

BATCH = 256


class Exported(dict[str, Any]):
    """What build.json of an exported folder says."""

    def __init__(self, folder: Path, build: Mapping[str, Any]) -> None:
        super().__init__(build)
        self.folder = folder

    def __repr__(self) -> str:
        constants = sum(layer["constants_bytes"] for layer in self["layers"])
        return f"<image in {self.folder}: weights of {constants:,} bytes, tensors of {self['arena_bytes']:,} bytes>"


class Network:
    """An integer network, as `convert` makes it and `load` reads it.

    labels: the names of the classes, in the order of the outputs; () where there are none. integers: its layers.
    """

    def __init__(self, integers: IntegerNetwork) -> None:
        check(integers)
        self.integers = integers

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the outputs; () where there are none."""
        return self.integers.description.labels

    def predict(self, x: ArrayLike) -> Any:
        """What the network answers to inputs (n, *input shape) of real numbers, computed in integers: real numbers.

        The inputs are as in the data that it was trained on; of a network for sound, standardised features; of one of a
        `.tflite` file they may be int8 or uint8, the integers that the file reads.

        Warns of inputs on another scale than the network was calibrated on.

        Probabilities where it ends in softmax or sigmoid. An array (n, *output shape), or a list of one for each
        output. Raises UserError for inputs that are none of the network's.
        """
        inputs = given.samples(InMemory.of("x", x), self.integers.input_shape, grid=self.integers.input_grid)
        read = map(standardisation_of(self.integers).apply, (part for _, part in inputs.parts(BATCH)))
        parts, outside = [], 0.0
        for part in read:
            parts.append(answers(self.integers, inputs_of(self.integers, part)))
            outside += beyond(self.integers, part) * len(part) / len(inputs)
        if note := range_note(self.integers, outside):
            warnings.warn(note, stacklevel=2)
        joined = [_as_keras(np.concatenate(of_one)) for of_one in zip(*parts, strict=True)]
        return joined[0] if len(joined) == 1 else joined

    def evaluate(self, x: ArrayLike, y: ArrayLike) -> Result:
        """How well the network does on inputs (n, *input shape), in integers.

        y: the class of each (n,), as whole numbers from 0 or by the labels, for its accuracy with an interval; or what
        it should answer (n, *output shape), the inputs themselves for an autoencoder, for the mean errors and R2.
        Raises UserError for what is neither, and for a network of several outputs.
        """
        if len(self.integers.results) > 1:
            shapes = ", ".join(given.shown(layer.shape) for layer in self.integers.results)
            raise UserError(f"only a network of one output can be measured, this has {shapes}: predict gives them all")
        outputs, truth = self.predict(x), InMemory.of("y", y)
        among = self._classes(outputs)
        if truth.array.dtype.kind == "f" and truth.array.ndim == 1 and among > 2:
            raise UserError("y: classes are whole numbers from 0, or the labels (is of real numbers): y.astype(int)")
        one_hot = activations(self.integers) == ("softmax",) and given.is_one_hot(truth.array)
        if not (one_hot or _are_classes(truth.array, among)):
            numbers = given.targets(truth, len(outputs), outputs.shape[1:]).part(slice(None))
            if self.integers.description.task is Task.RECONSTRUCT:  # of what it reads, which is standardised
                numbers = standardisation_of(self.integers).apply(numbers)
            return evaluated(Task.REGRESS, outputs, numbers, numbers, ())
        classes = given.classes(truth, len(outputs), self.labels, among)
        named = self.labels or tuple(map(str, range(among)))
        return evaluation(both_classes(outputs.reshape(len(outputs), -1)).argmax(1), classes, named)

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the network as a file, best named `.hqn`; returns its digest. Raises UserError where it cannot."""
        return save_network(self.integers, Path(path))

    def export(self, folder: str | os.PathLike[str], *, tflite: bool = False, overwrite: bool = False) -> Exported:
        """Write the network as C for a board, into a folder; returns what its build.json says, a dict.

        tflite: as a `.tflite` file too; overwrite: also over files that no export wrote. Raises UserError where the
        network is beyond what the kernels hold, or files are in the way.
        """
        from hybridq.image.export import export

        network = self.integers
        place = Path(folder)
        return Exported(place, export(network, place, c_front_end_of(network), with_tflite=tflite, overwrite=overwrite))

    def __repr__(self) -> str:
        layers = self.integers.layers
        outputs = ", ".join(str(layer.shape) for layer in self.integers.results)
        return (
            f"<hybridq.Network: {self.integers.input_shape} to {outputs}, {len(layers)} layer{'s' * (len(layers) > 1)}>"
        )

    def _classes(self, outputs: NDArray[np.float64]) -> int:
        """How many classes it may tell apart; 0 where it answers with numbers."""
        count = prod(outputs.shape[1:])
        return count if count > 1 else 2 * (activations(self.integers) == ("sigmoid",))


def _are_classes(truth: NDArray[Any], among: int) -> bool:
    """Whether an array names classes, one a sample: as text, or as whole numbers where there are classes."""
    whole = truth.dtype.kind in "biu" and truth.ndim > 0 and truth.size == len(truth)
    return truth.dtype.kind == "U" or (whole and among > 0)


def _as_keras(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """A sequence that the network of integers holds as an image of one row."""
    return outputs[:, 0] if outputs.ndim == 4 and outputs.shape[1] == 1 else outputs


def convert(
    model: keras.Model | str | os.PathLike[str], labels: Sequence[str] = (), calibrate: ArrayLike | None = None
) -> Network:
    """The integer network of a trained Keras model: 8-bit tensors, weights as the model's quantizers have them.

    Args:
        model: as `quantize` takes it, trained. Layers that are still float32 get 8-bit weights.
        labels: the names of the classes, in the order of the outputs.
        calibrate: some hundred inputs (n, *input shape), for a model whose tensors are not on grids of 8 bits
            everywhere, such as a float one.

    Raises UserError naming the layer that has no form in integers, or the tensor that is on no grid.

    Example:
        >>> import hybridq, keras, numpy as np
        >>> x = np.random.default_rng(0).random((64, 4))
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax", name="last")])
        >>> net = hybridq.convert(model, labels=["no", "yes"], calibrate=x)
        >>> net
        <hybridq.Network: (4,) to (2,), 1 layer>
        >>> net.predict(x[:3]).shape
        (3, 2)
    """
    from hybridq.api.quantizing import inputs_of as calibration_of

    trained = functional(load_model(Path(model)) if isinstance(model, str | os.PathLike) else model)
    inputs = None if calibrate is None else calibration_of(calibrate, trained, "calibrate")
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise UserError(f"labels: must be a list of the classes' names, and is {labels!r}")
    names = tuple(map(str, labels))
    if len(set(names)) < len(names):
        raise UserError(f"labels: two of {', '.join(names[:8])} are the same")
    about = Description.from_plain({"name": trained.name} | ({"labels": names} if names else {}))
    network = converted(trained, about, inputs)
    apart = max(prod(network.results[0].shape), 2)
    if names and len(names) != apart:
        raise UserError(f"labels: are {len(names)}, and the model tells {apart} classes apart")
    return Network(network)


def load(path: str | os.PathLike[str]) -> Network:
    """The integer network in a file that `Network.save` or `hybridq export` wrote, or in an int8 `.tflite` file.

    What it computes of the latter is what TensorFlow Lite's reference kernels compute, to the last bit. Raises
    UserError for another file, and for one of which an operator has no form in integers.
    """
    place = Path(path)
    return Network(read_tflite(place) if place.suffix.lower() == ".tflite" else load_network(place))


def verify(
    folder: str | os.PathLike[str],
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    compiler: str | None = None,
) -> Verification:
    """Build an exported folder, run it on this machine and on the emulated board, and compare every output.

    Args:
        folder: as `Network.export` wrote it. Its C is compiled and run on this machine.
        x: inputs (n, *input shape) to try it on; without them hostile ones are made up.
        y: their classes (n,), for the accuracy of the image.
        compiler: "zig" or "gcc"; without one the first that is installed.

    Returns what was compared and measured: flash, RAM, instructions; print it. `exact` says whether all outputs were
    the same to the last bit. Raises UserError where C is not what an export wrote, or does not fit the board.
    """
    from hybridq.runs.verify import Examples, verify

    inputs = None if x is None else InMemory.of("x", x)
    labels = None if y is None else InMemory.of("y", y)
    return verify(Path(folder), Examples(inputs=inputs, labels=labels), compiler)
