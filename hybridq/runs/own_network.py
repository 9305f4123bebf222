"""A network of the user's own, which a recipe names: opened or built, and whether it fits the data."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.graph.operators import Graph
from hybridq.graph.reader import read_graph
from hybridq.models.base import NetworkConfig
from hybridq.models.own import KerasFile, PythonNetwork
from hybridq.quantization.functional import functional
from hybridq.quantization.load_model import load_model
from hybridq.settings.python_function import call

if TYPE_CHECKING:
    import keras

Shape = tuple[int, ...]
OFFERED = ("shape", "outputs")  # what a function that builds a network may ask for


def own_graph(config: NetworkConfig, shape: Shape, outputs: Shape) -> Graph:
    """The operators of a network of the user's own; a Keras file is read without Keras. UserError as `own_network`."""
    return _graph(config, next(iter(config.content().values())), shape, outputs)


@lru_cache(maxsize=8)
def _graph(config: NetworkConfig, digest: str, shape: Shape, outputs: Shape) -> Graph:
    if not isinstance(config, KerasFile):
        return read_graph(own_network(config, shape, outputs))
    graph = read_graph(Path(config.keras))
    operators = (replace(op, name=_flat(op.name), inputs=tuple(map(_flat, op.inputs))) for op in graph.operators)
    return replace(graph, operators=tuple(operators), outputs=tuple(map(_flat, graph.outputs)))


def _flat(name: str) -> str:
    """The name of a layer of a model inside the model, as it is called once that is flat."""
    return name.replace("/", "_")


def own_network(config: NetworkConfig, shape: Shape, outputs: Shape) -> keras.Model:
    """The Keras model of a network of the user's own, flat; UserError where there is none."""
    if isinstance(config, KerasFile):
        return functional(load_model(config.keras))
    assert isinstance(config, PythonNetwork)
    import keras

    known = {"shape": shape, "outputs": outputs[0] if len(outputs) == 1 else outputs}

    def arguments(function: Callable[..., Any]) -> dict[str, Any]:
        asked = inspect.signature(function).parameters.values()
        needed = [one.name for one in asked if one.name not in OFFERED and one.default is one.empty]
        if needed:
            raise UserError(f"{config.python}: it asks for {needed[0]}; there are {' and '.join(OFFERED)} to ask for")
        return {one.name: known[one.name] for one in asked if one.name in OFFERED}

    model = call(config.python, arguments)
    if not isinstance(model, keras.Model):
        raise UserError(f"{config.python}: returned no Keras model but {type(model).__name__}")
    if len(model.outputs or ()) > 1:  # which may be one tensor several times
        raise UserError(f"{config.python}: has {len(model.outputs)} outputs; one can be trained here")
    return functional(model)


def check_ends(graph: Graph, reads: Shape, outputs: Shape, classes: bool) -> None:
    """Raise UserError where a network does not read such inputs, or answers with something else.

    classes: whether it is to answer with their probabilities; of two, that of the second is enough.
    """
    inputs = [op for op in graph.operators if op.kind == "InputLayer"]
    if len(inputs) != 1 or len(graph.outputs) != 1:
        raise UserError(f"has {len(inputs)} inputs and {len(graph.outputs)} outputs; one of each can be trained here")
    last = next(op for op in graph.operators if op.name == graph.outputs[0])
    if inputs[0].output_shape != reads:
        raise UserError(f"reads {inputs[0].output_shape}, an input of the data is {reads}")
    ends = "softmax" if last.kind == "Softmax" else last.attributes.get("activation")
    one_for_two = classes and outputs == (2,) and last.output_shape == (1,)
    if last.output_shape != outputs and not one_for_two:
        raise UserError(f"answers with {last.output_shape} ({last.name}), the data wants {outputs}")
    if classes and ends != ("sigmoid" if one_for_two else "softmax"):
        needed = "softmax, a single output sigmoid" if outputs == (2,) else "softmax"
        raise UserError(f"{last.name}: to classify, the last layer needs the activation {needed}")
