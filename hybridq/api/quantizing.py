"""A precision plan onto a Keras model of the caller's, to compile and fit as any other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridq.data import given
from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.reader import read_graph
from hybridq.integer.fusion import structure
from hybridq.integer.skeleton import outline
from hybridq.precision import PrecisionPlan
from hybridq.profiler.profiling import plan_of
from hybridq.quantization import model as plans
from hybridq.quantization.decomposition import check_names
from hybridq.quantization.functional import functional
from hybridq.quantization.graph import quantized_graph
from hybridq.quantization.load_model import load_model
from hybridq.quantization.steps import grids_of

if TYPE_CHECKING:
    import keras

ON_GRIDS = PrecisionPlan.from_data({"*": {"outputs": Format.INT8.value}})


def quantize(
    model: keras.Model | str | os.PathLike[str],
    plan: PrecisionPlan | Mapping[str, Any] | str,
    calibrate: ArrayLike | None = None,
    *,
    image: bool = True,
) -> keras.Model:
    """A copy of a Keras model, weights included, whose layers and tensors train in the formats of a precision plan.

    It is a functional Keras model without a compiled loss: compile it, fit it, and give it to `convert`.

    Args:
        model: functional or sequential, models inside it too, of Keras' or QKeras' layers; or a `.keras` or `.h5` file,
            or a SavedModel folder of Keras 2.
        plan: layer-name patterns to formats, as in a recipe: `{"conv*": "8-bit", "dense*": "binary",
            "*": {"outputs": "8-bit"}}`; the last rule that names a part of a layer decides it. A layer `conv` of a
            model `backbone` inside the model is `backbone_conv`. Or the name of a standard one: "int8", "int8-weights",
            "hybrid" (8-bit weights, and the dense layers but the last binary).
        calibrate: some hundred inputs (n, *input shape) as the model reads them, training data for example. They say
            which numbers each tensor holds; needed where the plan names `outputs: 8-bit`.
        image: whether the trained model shall become an integer network, and an image for a board. What cannot is then
            told here, not after the training.

    Raises UserError: a pattern that matches no layer; a format that a part of a layer cannot have; a layer without a
    form in integers, by its name; inputs that are none of the model's.

    Example:
        >>> import hybridq, keras, numpy as np
        >>> x = np.random.default_rng(0).random((64, 4), np.float32)
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu", name="dense"),
        ...                           keras.layers.Dense(2, "softmax", name="last")])
        >>> plan = {"dense": "binary", "last": "8-bit", "*": {"outputs": "8-bit"}}
        >>> [type(layer).__name__ for layer in hybridq.quantize(model, plan, calibrate=x).layers]
        ['InputLayer', 'QActivation', 'QDense', 'QActivation', 'QDense']
    """
    flat = functional(load_model(Path(model)) if isinstance(model, str | os.PathLike) else model)
    graph = read_graph(flat)
    wanted = plan_of(plan, graph)
    check_names(graph, wanted)
    grids = grids_of(graph, wanted)
    if image:
        check_image(flat, wanted if grids else PrecisionPlan((*ON_GRIDS.rules, *wanted.rules)))
    if not grids:
        return plans.quantize(flat, wanted)
    if calibrate is None:
        raise UserError("calibrate: the plan names 8-bit outputs, so some hundred inputs must say what they hold")
    return plans.quantize(flat, wanted, plans.calibrated(flat, wanted, inputs_of(calibrate, flat, "calibrate")))


def check_image(model: keras.Model, plan: PrecisionPlan) -> None:
    """Raise UserError, naming the layer, where the network that a plan makes of a model has no form in integers."""
    try:
        outline(structure(quantized_graph(read_graph(model), plan)))
    except UserError as error:
        raise UserError(f"{error} (image=False trains such a network all the same)") from None


def inputs_of(values: ArrayLike, model: keras.Model, what: str) -> NDArray[np.float32]:
    """Inputs of a model as it reads them (n, *input shape); `what` they are, for the UserError where they are not."""
    if len(model.inputs) != 1:
        raise UserError(f"{what}: is one array, and the model has {len(model.inputs)} inputs")
    inputs = given.samples(given.InMemory.of(what, values), model.inputs[0].shape[1:])
    return inputs.part(slice(None))
