"""A quantized Keras model with the weights of some layers narrower than they are, and all else as it is."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.operators import Graph
from hybridq.precision import PrecisionPlan
from hybridq.quantization.model import COUNTERPARTS, copy_weights, kernel_quantizer, named_inputs
from hybridq.quantization.steps import makes_grid

if TYPE_CHECKING:
    import keras


def narrowed(model: keras.Model, weights: Mapping[str, Format]) -> keras.Model:
    """A copy of a functional model, its weights included, with the kernels of these layers in these formats.

    Raises UserError, naming the layer, where a kernel cannot have the format.
    """
    import keras

    def clone(layer: Any) -> Any:
        config, kind = layer.get_config(), type(layer).__name__.removeprefix("Q")
        wanted = weights.get(layer.name)
        if wanted is None:
            return layer.__class__.from_config(config)
        if kind not in COUNTERPARTS:
            raise UserError(f"{layer.name}: a {kind} layer has no weights that a plan can name")
        counterpart, quantizers = COUNTERPARTS[kind]
        for key in quantizers:
            config[key] = kernel_quantizer(wanted, layer.name, kind)
        made = resolve_name(counterpart)(**config)
        made.name = layer.name  # QKeras forgets that of a recurrent layer
        return made

    copy = keras.models.clone_model(model, named_inputs(model), clone_function=clone)
    copy_weights(model, copy)
    return copy


def plan_of(graph: Graph) -> PrecisionPlan:
    """The plan that a quantized network follows, by the formats of its layers; outputs are on grids where one is."""
    rules: dict[str, dict[str, str]] = {}
    if any(map(makes_grid, graph.operators)):
        rules["*"] = {"outputs": Format.INT8.value}
    for op in graph.weighted:
        if op.precision:
            rules[glob.escape(op.name)] = {"weights": op.precision.weights.value, "bias": op.precision.bias.value}
    return PrecisionPlan.from_data(rules)
