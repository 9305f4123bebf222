"""Which layers of a model of the caller's may be how narrow, by the caller's own training and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridq.api.quantizing import inputs_of
from hybridq.data.given import InMemory, classes
from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.precision import PrecisionPlan
from hybridq.profiler import targets
from hybridq.profiler.accounting import OWN
from hybridq.quantization.functional import functional
from hybridq.quantization.narrow import narrowed, plan_of
from hybridq.quantization.steps import ends_of
from hybridq.searching.plan_space import Changes, Space, legend
from hybridq.searching.plans import Candidate, as_it_is, check, within_drop, within_flash
from hybridq.searching.sensitivity import Change, Score, Sensitivity
from hybridq.settings.units import format_size
from hybridq.training.evaluation import r_squared

if TYPE_CHECKING:
    import keras

Fit = Callable[[Any], object]  # trains the compiled model that it is given
BATCH = 256
AS_IT_IS = " (as it is)"


@dataclass(frozen=True)
class Searched:
    """What a search chose: the plan, the model trained by it, and the plans that were trained, the model's own first.

    score: of the chosen model on the validation data, `cross_entropy` and `accuracy` (percent): its loss, whatever that
    is, and where there are no classes R2 in percent. sensitivity: what each layer costs by itself, printed as a table.
    """

    plan: PrecisionPlan
    model: keras.Model
    score: Score
    flash_bytes: int
    trained: tuple[tuple[Candidate, Score], ...]
    sensitivity: Sensitivity

    def __str__(self) -> str:
        width = len(self.sensitivity.own) + len(AS_IT_IS)
        lines = [f"{'plan':<{width}} {'flash':>10} {'loss':>9} {'score %':>8}"]
        for number, (plan, score) in enumerate(self.trained):
            name, flash = plan.code + AS_IT_IS * (number == 0), format_size(plan.flash_bytes)
            lines.append(f"{name:<{width}} {flash:>10} {score.cross_entropy:>9.4f} {score.accuracy:>8.2f}")
        return "\n".join([*lines, legend(self.sensitivity.own)])


def search(
    model: keras.Model,
    *,
    train: Fit,
    validation: tuple[ArrayLike, ArrayLike],
    flash: str | int | None = None,
    ram: str | int | None = None,
    macc: str | int | None = None,
    drop: float | None = None,
    tune: Fit | None = None,
    target: str = targets.DEFAULT_TARGET,
    accounting: str = OWN,
    count: int = 3,
) -> Searched:
    """Find the plan of least loss within limits or, with `drop`, of least flash within a loss of so many points.

    Each layer is made narrower by itself, and the loss on the validation data noted; the plans whose losses add up to
    the least are trained with `train`, and the best of them by its own validation loss is the result.

    Args:
        model: a compiled model, as `quantize` gives it, best fitted already. It stays as it is.
        train: trains the compiled copy that it is given, in place: `lambda m: m.fit(x, y, epochs=10)`.
        validation: inputs and targets that `train` does not see.
        flash, ram, macc: limits, as "60KiB" or a number of bytes, of the report that `profile` gives; without one that
            of the board.
        drop: the points of accuracy (of R2 where there are no classes) that may be lost for less flash.
        tune: a short training before a layer's loss is noted; without it the copy has the model's weights.
        target, accounting: as of `profile`.
        count: how many plans are trained.

    Raises UserError: a model that is not compiled; inputs that are none of the model's, or without a target each;
    nothing that can be narrower; limits that no plan keeps to.
    """
    if not model.compiled or isinstance(model.loss, dict | list | tuple | None):
        raise UserError("model: compile it with one loss first: that is what plans are judged by")
    if not callable(train) or not (tune is None or callable(tune)):
        raise UserError("train: must be a function that fits the model that it is given: lambda m: m.fit(x, y)")
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise UserError("validation: must be inputs and their targets, (x, y)")
    if not isinstance(count, int) or count < 1:
        raise UserError(f"count: must be a whole number from 1 (is {count!r})")
    flat = functional(model)
    graph = read_graph(flat)
    limits = [None if one is None else str(one) for one in (flash, ram, macc)]
    budget = targets.custom_target(limits[0], limits[1], targets.target(target), limits[2])
    space = Space(graph.name, graph, plan_of(graph), target, accounting)
    space.check()
    check(space, budget)
    judged = _Judge(model, *_validation(validation, flat), of_class_1=ends_of(graph).functions == ("sigmoid",))
    judged.check()

    def made(changes: Changes, fit: Fit | None) -> tuple[Any, Score]:
        copy = judged.compiled(narrowed(flat, changes))
        if fit is not None:
            fit(copy)
        return copy, judged.score(copy)

    table = _sensitivities(space, len(judged.inputs), lambda changes: made(changes, tune)[1])
    if drop is None:
        chosen = within_flash(space, table, budget, count)
    else:
        chosen = within_drop(space, table, budget, drop, count)
    own = as_it_is(space, budget)
    plans = [own, *(one for one in chosen if one.code != own.code)]
    results = [(one, *made(one.changes, train)) for one in plans]
    best, network, score = _best(results, drop)
    trained = tuple((one, reached) for one, _, reached in results)
    return Searched(space.plan(best.changes), network, score, best.flash_bytes, trained, table)


def _validation(
    validation: tuple[ArrayLike, ArrayLike], model: keras.Model
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    inputs, targets = (
        inputs_of(validation[0], model, "validation"),
        InMemory.of("validation targets", validation[1]).array,
    )
    if targets.shape[:1] != inputs.shape[:1]:
        raise UserError(f"validation: {len(inputs):,} inputs, and targets of shape {targets.shape}")
    return inputs, targets


def _best(results: list[tuple[Candidate, Any, Score]], drop: float | None) -> tuple[Candidate, Any, Score]:
    """Of the plans within the limits that of least loss or, with `drop`, the smallest that loses no more than that."""
    fitting = [one for one in results if one[0].fits]
    if drop is None:
        return min(fitting, key=lambda one: (one[2].cross_entropy, one[0].flash_bytes))
    own = results[0][2].accuracy
    enough = [one for one in fitting if own - one[2].accuracy <= drop] or fitting
    return min(enough, key=lambda one: one[0].flash_bytes)


def _sensitivities(space: Space, samples: int, score_of: Callable[[Changes], Score]) -> Sensitivity:
    """Every layer at every narrower format that saves flash, by itself."""
    own, flash = score_of({}), space.flash({})
    changes = []
    for layer in space.layers:
        for to in space.narrower(layer):
            saved = flash - space.flash({layer: to})
            if saved <= 0:
                continue
            score = score_of({layer: to})
            changes.append(
                Change(
                    layer, to, saved, score, score.cross_entropy - own.cross_entropy, own.accuracy - score.accuracy, ""
                )
            )
    return Sensitivity(
        name=space.name,
        data="the validation data",
        synthetic=False,
        clips=samples,
        epochs=0,
        flash_bytes=flash,
        own={layer: space.own(layer) for layer in space.layers},
        score=own,
        changes=tuple(changes),
        failed={},
    )


@dataclass(frozen=True)
class _Judge:
    """Scores models by the loss of the one that was given. of_class_1: its output is the probability of class 1."""

    model: Any
    inputs: NDArray[np.float32]
    targets: NDArray[Any]
    of_class_1: bool

    def compiled(self, copy: Any) -> Any:
        """The copy, compiled as the model is, with a new optimizer of the same settings."""
        optimizer = self.model.optimizer
        copy.compile(type(optimizer).from_config(optimizer.get_config()), self.model.loss)
        return copy

    def check(self) -> None:
        """Raise UserError for targets of which the model's loss is none."""
        self._check_classes()
        try:
            loss = self.score(self.model).cross_entropy
        except MemoryError:
            raise
        except Exception as error:  # whatever Keras trips over
            _, _, said = str(error).rpartition("}} ")  # behind the operation of TensorFlow
            reason = (said.strip() or type(error).__name__).splitlines()[0][:200]
            raise UserError(f"validation targets: the model's loss cannot be computed of them ({reason})") from None
        if not np.isfinite(loss):
            raise UserError(f"validation targets: the model's loss of them is {loss}")

    def _check_classes(self) -> None:
        """Raise UserError for a class that there is not, where the loss is of classes; whole floats are some too."""
        loss = str(getattr(self.model.loss, "name", self.model.loss))
        if "crossentropy" not in loss or getattr(self.model.loss, "ignore_class", None) is not None:
            return
        among = 2 if "binary" in loss else self.model.outputs[0].shape[-1] if "sparse" in loss else 0
        rows = self.targets.reshape(len(self.targets), -1)
        if not among or not rows.size or rows.dtype.kind not in "iuf":
            return
        if not (np.isfinite(rows) & (rows == np.floor(rows))).all():
            return
        for of_row in (rows.min(1), rows.max(1)):  # of a sequence each place has a class
            classes(InMemory("validation targets", of_row.astype(np.int64)), len(rows), (), among)

    def score(self, model: Any) -> Score:
        """The mean loss, and the accuracy (or R2) in percent. To trace a graph would take longer than these calls."""
        import keras

        parts = [self.inputs[at : at + BATCH] for at in range(0, len(self.inputs), BATCH)]
        outputs = np.concatenate([np.asarray(model(part, training=False)) for part in parts])
        loss = float(np.mean(np.asarray(keras.losses.get(self.model.loss)(self.targets, outputs))))
        return Score(loss, self._percent(outputs))

    def _percent(self, outputs: NDArray[Any]) -> float:
        targets, several, ones = self.targets, outputs.shape[-1] > 1, set(np.unique(self.targets)) <= {0, 1}
        if several and targets.dtype.kind in "iu" and targets.size == len(targets):
            return 100 * float(np.mean(outputs.argmax(-1).ravel() == targets.ravel()))
        if several and targets.shape == outputs.shape and ones:
            return 100 * float(np.mean(outputs.argmax(-1) == targets.argmax(-1)))
        if self.of_class_1 and targets.size == outputs.size and ones:
            return 100 * float(np.mean((outputs.ravel() > 0.5) == (targets.ravel() == 1)))
        wanted = targets.reshape(len(outputs), -1)
        return r_squared(float(((outputs.reshape(wanted.shape) - wanted) ** 2).mean()), wanted)
