"""What a network scores on the samples of a file: by Keras and in integers, read in pieces.

Of a network that says what it answers with, that is measured. Of any other the labels decide: text and whole numbers
are classes where there are several outputs, else numbers; without labels an output of the shape of the input is a
reconstruction. The labels of a reconstruction say which samples are normal (0) and which are not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from hybridq.data import given
from hybridq.data.task import SAMPLES, Floats, Task
from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.integer import arithmetic
from hybridq.integer.answers import activations, answers, beyond, inputs_of, range_note
from hybridq.integer.artefact import digest
from hybridq.quantization.model import is_grid
from hybridq.quantization.steps import ends_of
from hybridq.runs.load_network import Trained
from hybridq.runs.measurement import Measurement
from hybridq.training.evaluation import ErrorSums, Result, evaluation, roc_area

Reals = NDArray[np.float64]
Classes = NDArray[np.int64]
Network = Callable[[Floats], Reals]  # samples (n, *shape) to answers (n, numbers)
BATCH = 256


def measured_samples(trained: Trained, inputs: str, labels: str | None, batch: int = BATCH) -> Measurement:
    """Both forms of a network on the samples of a file; the files are as `data.given` takes them.

    Raises UserError for a network of several inputs or outputs, and for samples or labels that are not for it.
    """
    shape, outputs = _ends(trained)
    samples = given.samples(inputs, shape, grid=trained.integers.input_grid if trained.integers else None)
    task = _task(trained, labels, shape, outputs)
    if task is Task.CLASSIFY:
        tally: _Classes | _Numbers = _Classes.of(trained, labels, len(samples), prod(outputs))
    else:
        tally = _Numbers.of(trained, labels, len(samples), shape if task is Task.RECONSTRUCT else outputs, task)
    outside = 0.0
    for which, raw in samples.parts(batch):
        read = trained.standardisation.apply(raw)
        outside += beyond(trained.integers, read) * len(read) if trained.integers else 0
        tally.add(which, read)
    results = tally.results()
    note = range_note(trained.integers, outside / len(samples)) if trained.integers else ""
    return Measurement(
        keras=results.get("keras"),
        integer=results.get("integer"),
        digest=digest(trained.integers) if trained.integers else None,
        agreement=tally.agreement,
        on_grids=trained.bundle is not None and any(map(is_grid, trained.bundle.model.layers)),
        lacking=trained.lacking,
        notes=(*tally.notes, *filter(None, [note])),
        unit=SAMPLES,
    )


def _networks(trained: Trained) -> dict[str, Network]:
    """The forms that there are, by the entry of a Measurement."""
    made: dict[str, Network] = {}
    if trained.bundle:
        model = trained.bundle.model
        made["keras"] = lambda read: np.asarray(model.predict_on_batch(read), np.float64).reshape(len(read), -1)
    if trained.integers:
        network = trained.integers
        made["integer"] = lambda read: answers(network, inputs_of(network, read))[0].reshape(len(read), -1)
    return made


def _classifiers(trained: Trained) -> dict[str, Callable[[Floats], Classes]]:
    """The forms of a network that tells classes apart: samples (n, *shape) to classes (n,)."""
    made: dict[str, Callable[[Floats], Classes]] = {}
    if trained.bundle:
        model = trained.bundle.model
        middle = 0.5 if ends_of(read_graph(model)).functions == ("sigmoid",) else 0.0  # of a single output
        made["keras"] = lambda read: arithmetic.classes_in(np.asarray(model.predict_on_batch(read)) - middle)
    if trained.integers:
        network = trained.integers
        made["integer"] = lambda read: arithmetic.classes(network, inputs_of(network, read))
    return made


def _ends(trained: Trained) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of a sample and of an answer."""
    if trained.bundle:
        model = trained.bundle.model
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            many = f"inputs: {len(model.inputs)}, outputs: {len(model.outputs)}"
            raise UserError(f"{trained.name}: only a network of one input and one output can be measured ({many})")
        ends = model.inputs[0].shape[1:], model.outputs[0].shape[1:]
        if None in ends[0] + ends[1]:
            raise UserError(f"{trained.name}: reads {given.shown(ends[0])}: save it with an input of a fixed shape")
        return ends
    assert trained.integers
    if len(trained.integers.results) != 1:
        outputs = len(trained.integers.results)
        raise UserError(f"{trained.name}: only a network of one output can be measured (outputs: {outputs})")
    return trained.integers.input_shape, trained.integers.results[0].shape


def _task(trained: Trained, labels: str | None, shape: tuple[int, ...], outputs: tuple[int, ...]) -> Task:
    """What is to be measured; UserError where labels are missing."""
    known = trained.says_task
    if known is Task.CLASSIFY and not labels:
        raise UserError(f"{trained.name}: --labels Y.npy is needed: the class of each sample")
    if known is None and labels:
        array = given.read_array(labels)
        whole = array.dtype.kind in "biu" and prod(outputs) > 1 and prod(array.shape[1:]) == 1
        softmax = trained.integers is not None and activations(trained.integers) == ("softmax",)
        one_hot = softmax and given.is_one_hot(array)
        return Task.CLASSIFY if whole or one_hot or array.dtype.kind == "U" else Task.REGRESS
    if known in (None, Task.RECONSTRUCT) and prod(shape) == prod(outputs):
        return Task.RECONSTRUCT
    if known is not Task.CLASSIFY and not labels:
        raise UserError(f"{trained.name}: --labels Y.npy is needed: what it should answer with for each sample")
    return known or Task.REGRESS


@dataclass
class _Classes:
    """Of classes, part by part: those that each form of a network answers with."""

    networks: dict[str, Callable[[Floats], Classes]]
    labels: tuple[str, ...]
    truth: Classes
    notes: tuple[str, ...]
    answered: dict[str, list[Classes]]

    @classmethod
    def of(cls, trained: Trained, labels: str | None, count: int, outputs: int) -> _Classes:
        assert labels
        names = trained.labels or tuple(map(str, range(max(outputs, 2))))
        truth = given.classes(labels, count, trained.labels, len(names))
        notes = () if np.ptp(truth) else (f"{labels}: all samples are of one class, {names[truth[0]]}",)
        networks = _classifiers(trained)
        return cls(networks, names, truth, notes, {name: [] for name in networks})

    def add(self, which: slice, read: Floats) -> None:
        """The samples at these places, as the network reads them (n, *shape)."""
        for name, network in self.networks.items():
            self.answered[name].append(network(read))

    def results(self) -> dict[str, Result]:
        """What each form scores."""
        return {
            name: evaluation(np.concatenate(parts), self.truth, self.labels) for name, parts in self.answered.items()
        }

    @property
    def agreement(self) -> float | None:
        """The share of the samples that both forms take for the same (percent)."""
        if len(self.answered) < 2:
            return None
        one, other = map(np.concatenate, self.answered.values())
        return 100 * float(np.mean(one == other))


@dataclass
class _Numbers:
    """Of numbers (n, *shape), part by part: the targets of a file, or of a reconstruction what was read.

    anomalies: of a reconstruction the samples that are none of the normal ones, where that is known; they are told by
    their squared error, and left out of the other figures.
    """

    networks: dict[str, Network]
    targets: given.CheckedArray | None
    anomalies: Classes | None
    sums: dict[str, ErrorSums]
    scores: dict[str, list[Reals]]
    notes: tuple[str, ...] = ()
    agreement: float | None = None

    @classmethod
    def of(cls, trained: Trained, labels: str | None, count: int, shape: tuple[int, ...], task: Task) -> _Numbers:
        networks, size = _networks(trained), prod(shape)
        targets = anomalies = None
        if labels and task is Task.RECONSTRUCT:
            anomalies = given.anomalies(labels, count)
            if anomalies.all():
                raise UserError(f"{labels}: no normal sample, which is of class 0 or 'normal'")
        elif labels:
            targets = given.targets(labels, count, shape)
        sums = {name: ErrorSums.none(size) for name in networks}
        return cls(networks, targets, anomalies, sums, {name: [] for name in networks})

    def add(self, which: slice, read: Floats) -> None:
        """The samples at these places, as the network reads them (n, *shape)."""
        wanted = np.asarray(read if self.targets is None else self.targets.part(which), np.float64)
        wanted = wanted.reshape(len(read), -1)
        kept = slice(None) if self.anomalies is None else self.anomalies[which] == 0
        for name, network in self.networks.items():
            made = network(read)
            self.scores[name].append(((made - wanted) ** 2).mean(1))
            self.sums[name].add(made[kept], wanted[kept])

    def results(self) -> dict[str, Result]:
        """What each form scores."""
        return {name: replace(sums.approximation(), auc=self._area(name)) for name, sums in self.sums.items()}

    def _area(self, name: str) -> float | None:
        if self.anomalies is None or not self.anomalies.any():
            return None
        return roc_area(np.concatenate(self.scores[name]), self.anomalies)
