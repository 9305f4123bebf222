"""What `hybridq quantize` does: a trained model put into the formats of a plan as it is, without any fit.

What the plan leaves out gets 8 bits, as the network is to be one of integers; samples say which numbers its tensors
hold. The result is the folder of a trained network, with its integer network in it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.data import given
from hybridq.data.task import Floats, Task
from hybridq.errors import NotWritable, UserError
from hybridq.formats import Format
from hybridq.graph.operators import Graph
from hybridq.graph.reader import read_graph
from hybridq.image.folder import named
from hybridq.integer.artefact import NETWORK, digest, save_network
from hybridq.integer.checks import check
from hybridq.integer.convert import EVERYTHING, settle
from hybridq.integer.fusion import structure
from hybridq.integer.lowering import integer_network
from hybridq.integer.network import IntegerNetwork, Weighted
from hybridq.integer.skeleton import outline
from hybridq.precision import PrecisionPlan
from hybridq.profiler.render.words import listed
from hybridq.quantization import model as plans
from hybridq.quantization.decomposition import check_names
from hybridq.quantization.functional import functional
from hybridq.quantization.graph import quantized_graph
from hybridq.quantization.steps import stored
from hybridq.recipe.plan_text import read_plan
from hybridq.runs.experiment import CALIBRATION
from hybridq.runs.load_network import Trained, calibration_of, find_bundle
from hybridq.runs.model_folder import ABOUT, MODEL, Bundle, save_bundle

if TYPE_CHECKING:
    import keras

    from hybridq.tracking import Store


@dataclass(frozen=True)
class Request:
    """What is to be quantized, and how.

    plan: see `recipe.plan_text`; None: 8 bits throughout. calibrate: samples, see `data.given`; None: of what its
    recipe was trained on. classes and task: of a model that does not say; () and None leave them as they are.
    """

    model: str
    plan: str | None = None
    calibrate: str | None = None
    classes: tuple[str, ...] = ()
    task: Task | None = None


def quantize(request: Request, folder: Path, store: Store | None = None, overwrite: bool = False) -> Trained:
    """Quantize a model into a folder. overwrite: also over a network that is there.

    Raises UserError, before it looks at samples, for a plan that the model cannot have and for a layer that has no form
    in integers; NotWritable.
    """
    there = [name for name in (MODEL, ABOUT, NETWORK) if (folder / name).exists()]
    if there and not overwrite:
        raise UserError(f"{folder}: {named(there)} there already; name another folder, or pass --overwrite")
    bundle = find_bundle(request.model, store)
    flat = functional(bundle.model)
    graph = read_graph(flat)
    asked = read_plan(request.plan, graph) if request.plan else PrecisionPlan()
    plan = PrecisionPlan((*EVERYTHING.rules, *asked.rules))
    check_names(graph, asked, plan)
    try:
        outline(structure(quantized_graph(graph, plan)))
    except UserError as error:
        raise UserError(f"{request.model}: {error}") from None
    task = request.task or bundle.task
    model = _on_grids(flat, graph, plan, lambda: _samples(request, bundle, flat))
    check(integer_network(model))  # before anything is written
    labels = request.classes or bundle.labels
    if labels and task is Task.CLASSIFY and len(labels) != max(2, flat.outputs[0].shape[-1]):
        raise UserError(f"{request.model}: {flat.outputs[0].shape[-1]} outputs and {len(labels)} classes")
    if len(set(labels)) != len(labels) or "" in labels:
        raise UserError(f"--classes {','.join(labels)}: every class needs a name of its own")
    recipe = {"name": Path(request.model).stem} | bundle.recipe | {"precision": plan.to_data()}
    try:
        made = save_bundle(
            folder,
            model,
            labels if task is Task.CLASSIFY else (),
            bundle.front_end,
            bundle.normalisation,
            recipe,
            bundle.unknown_words,
            task,
            bundle.standardisation,
        )
        network: IntegerNetwork = integer_network(model, made.description)
        save_network(network, folder / NETWORK)
    except OSError as error:
        raise NotWritable(error.filename or folder, error) from error
    return Trained(str(folder), made, network)


def summary(trained: Trained) -> str:
    """What a user is told of the result."""
    assert trained.integers
    folder, data = shlex.quote(trained.name), "x.npy" if trained.task is Task.RECONSTRUCT else "x.npy --labels y.npy"
    one = f"`hybridq evaluate {folder} --inputs {data}` measures both; " if len(trained.integers.results) == 1 else ""
    return "\n".join(
        [
            f"{folder}: {MODEL} and {NETWORK}, its integer network (SHA-256 {digest(trained.integers)[:16]})",
            *_formats(trained),
            f"{one}`hybridq export {folder} --out image` writes the C",
        ]
    )


def _formats(trained: Trained) -> list[str]:
    """Which layers have which weights, a line a format; and what a model that was quantized before has kept."""
    assert trained.integers
    assert trained.bundle
    plan = PrecisionPlan.from_data(trained.bundle.recipe["precision"])
    layers = [layer for layer in trained.integers.layers if isinstance(layer, Weighted)]
    names: dict[Format, list[str]] = {}
    for layer in layers:
        names.setdefault(layer.width, []).append(layer.name)
    lines = [f"{width.value} weights: {listed(of)}" for width, of in names.items()]
    asked = ((layer, plan.of(layer.name).weights) for layer in layers)
    kept = [layer.name for layer, width in asked if width not in (Format.FLOAT32, layer.width)]
    if kept:
        lines.append(f"{listed(kept)}: as trained, not as the plan says, as the model was quantized before")
    return lines


def _on_grids(flat: keras.Model, graph: Graph, plan: PrecisionPlan, samples: Callable[[], Floats]) -> keras.Model:
    """The model in the formats of the plan, its biases those of its integer network; a model on grids keeps these."""
    fractions = plans.calibrated(flat, plan, samples()) if stored(graph) else {}
    model = plans.quantize(flat, plan, fractions)
    settle(model)
    return model


def _samples(request: Request, bundle: Bundle, model: keras.Model) -> Floats:
    """Some hundred samples (n, *shape) as the model reads them."""
    if not request.calibrate and "data" not in bundle.recipe:
        raise UserError(f"{request.model}: --calibrate X.npy is needed: some hundred samples as the model reads them")
    if not request.calibrate:
        return calibration_of(bundle)
    samples = given.samples(request.calibrate, model.inputs[0].shape[1:])
    return bundle.standardisation.apply(samples.part(given.spread(len(samples), CALIBRATION)))
