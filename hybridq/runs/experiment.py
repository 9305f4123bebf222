"""What a recipe stands for: its network, its operators, whether a run of it could begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridq.backend.tensorflow import load_tensorflow
from hybridq.data.task import Task, TrainingData
from hybridq.errors import UserError
from hybridq.graph.operators import Graph
from hybridq.graph.reader import read_graph
from hybridq.models import build_model, outline
from hybridq.models.own import OWN_NETWORKS
from hybridq.quantization.model import calibrated, copy_weights, quantize
from hybridq.runs.own_network import Shape, check_ends, own_graph, own_network
from hybridq.runs.sources import source_of

if TYPE_CHECKING:
    import keras

    from hybridq.recipe.schema import Recipe

CALIBRATION = 400  # training examples, about, that say where the grids lie


def network(recipe: Recipe, data: TrainingData) -> keras.Model:
    """The untrained network of a recipe, quantized by its plan; its first weights depend on the seed alone."""
    model = _float_network(recipe, data)
    if not recipe.model.has_weights:
        return quantize(model, recipe.plan)
    return quantize(model, recipe.plan, calibrated(model, recipe.plan, data.calibration(CALIBRATION)))


def network_from(parent: keras.Model, recipe: Recipe, data: TrainingData) -> keras.Model:
    """The network of a recipe with the weights of another one, whose tensors say where its grids of 8 bits lie."""
    model = _float_network(recipe, data)
    copy_weights(parent, model)
    return quantize(model, recipe.plan, calibrated(model, recipe.plan, data.calibration(CALIBRATION)))


def graph_of(recipe: Recipe) -> Graph:
    """The operators of a recipe's network, float32 and untrained. UserError where it does not fit the data."""
    shape, outputs = source_of(recipe).ends(recipe)
    if recipe.model.name not in OWN_NETWORKS:
        return outline(recipe.model, _map_of(recipe, shape), outputs[0])
    try:
        graph = own_graph(recipe.model, shape, outputs)
        check_ends(graph, shape, outputs, recipe.task is Task.CLASSIFY)
    except UserError as error:
        raise _of_model(recipe, error) from None
    return graph


def check_ready(recipe: Recipe, clips: bool = True) -> None:
    """Raise UserError, with the line of the recipe, where no run of it could begin; of sound without TensorFlow.

    So it is where a precision is for no layer or, of a recipe that it needs, features or data do not go together; and,
    if `clips` must be on this machine, where its data is not there.
    """
    recipe.check_references()
    for one in (recipe, *recipe.needed):
        if clips or not source_of(one).ends_from_data or source_of(one).is_here(one):
            check_plan(one)
        if clips:
            source_of(one).check(one)


def check_plan(recipe: Recipe) -> None:
    """Raise UserError, with the line of the recipe, for a precision that is for no layer."""
    graph = graph_of(recipe)
    weighted, every = (op.name for op in graph.weighted), (op.name for op in graph.operators)
    recipe.plan.check(weighted, every, lambda pattern: recipe.where("precision", pattern))


def run_name(recipe: Recipe) -> str:
    """The recipe's name, with the seed where it is not 0."""
    return f"{recipe.name} seed {recipe.training.seed}" if recipe.training.seed else recipe.name


def _map_of(recipe: Recipe, shape: Shape) -> tuple[int, int]:
    """The rows and columns that a network built here reads; UserError for inputs of another kind, and other tasks."""
    if recipe.task is not Task.CLASSIFY:
        raise _of_model(recipe, UserError(f"{recipe.model.name} tells classes apart: task {recipe.task} needs another"))
    if len(shape) != 3 or shape[2] != 1:
        wanted = f"{recipe.model.name} reads (rows, columns, 1), an input of the data is {shape}"
        raise _of_model(recipe, UserError(f"{wanted}: name a network of your own, as model.keras or model.python"))
    return shape[0], shape[1]


def _of_model(recipe: Recipe, error: UserError) -> UserError:
    """An error of a recipe's network, with the line that names it."""
    key = recipe.model.name if recipe.model.name in OWN_NETWORKS else "name"
    return UserError(f"{recipe.where('model', key)}: model.{key}: {error}", error.exit_code)


def _float_network(recipe: Recipe, data: TrainingData) -> keras.Model:
    load_tensorflow()
    import keras

    keras.utils.clear_session()  # a sweep builds many networks in one process
    keras.utils.set_random_seed(recipe.training.seed)
    if recipe.model.name not in OWN_NETWORKS:
        return build_model(recipe.model, _map_of(recipe, data.shape), data.outputs[0])
    try:
        model = own_network(recipe.model, data.shape, data.outputs)
        check_ends(read_graph(model), data.shape, data.outputs, recipe.task is Task.CLASSIFY)
    except UserError as error:
        raise _of_model(recipe, error) from None
    return model
