"""A precision plan onto a Keras model: the layers it names become QKeras layers, the others stay as they are.

The model is rebuilt layer by layer from the float one, so there is one definition of each network. Weights keep their
names and shapes: a quantized network starts from a float network's weights by copying them.

Where a plan names 8-bit outputs, the tensors between layers are put on the grids of the integer network
(`hybridq.integer`): a Grid stands wherever that network stores a tensor (`steps`), and its step is found by
`calibrated`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hybridq.backend.tensorflow import load_qkeras
from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.kinds import KINDS
from hybridq.graph.operators import Operator
from hybridq.graph.reader import read_graph
from hybridq.precision import PrecisionPlan
from hybridq.quantize.steps import grids_of, holds_table

if TYPE_CHECKING:
    import keras

Fractions = Mapping[str, int]  # the fraction of each grid, by the name of its layer: its step is 2**-fraction

# Keras layers with weights that a plan can name: where their counterpart is, and the names of its weight quantizers.
COUNTERPARTS = {row.name: (row.counterpart, row.quantizers) for row in KINDS.values() if row.counterpart}
DEFAULT_FRACTION = 4  # of a grid that was not calibrated: +-8, in steps of 1/16
SAMPLE = 500_000  # values of a tensor that calibration looks at
BATCH = 64  # clips that calibration takes at once


def quantizable(model: keras.Model) -> list[str]:
    """The names of the layers whose weights a plan can name."""
    return [layer.name for layer in model.layers if type(layer).__name__ in COUNTERPARTS]


def quantize(model: keras.Model, plan: PrecisionPlan, fractions: Fractions | None = None) -> keras.Model:
    """A copy of the model, its weights included, with the layers as the plan represents them.

    `fractions` are those of the grids of 8-bit outputs, as `calibrated` finds them. Raises UserError for a pattern that
    matches no layer, or a precision that a part of a layer cannot have.
    """
    plan.check(quantizable(model), [layer.name for layer in model.layers])
    return _rebuilt(model, plan, {} if fractions is None else fractions) if plan.rules else model


def calibrated(model: keras.Model, plan: PrecisionPlan, inputs: NDArray[np.float32]) -> dict[str, int]:
    """The fraction of each grid that the plan asks for: the one with the least squared error on these inputs.

    `model` is the trained network to start from, with weights as they are: the grids find the ranges of its tensors.
    inputs: (clips, *shape), some hundred; a share of each tensor's values, evenly spaced, is looked at.
    """
    outputs_alone = PrecisionPlan(
        tuple((pattern, tuple(part for part in parts if part[0] == "outputs")) for pattern, parts in plan.rules)
    )
    open_grids = _rebuilt(model, outputs_alone, None)
    grids = [layer for layer in open_grids.layers if is_grid(layer)]
    if not grids:
        return {}
    import keras

    # Operation by operation: the graph that `predict` makes takes longer to trace than it would run.
    watched = keras.Model(open_grids.inputs, {grid.name: grid.output for grid in grids})
    batches = [watched([inputs[at : at + BATCH]], training=False) for at in range(0, len(inputs), BATCH)]
    return {
        grid.name: best_fraction(np.concatenate([keras.ops.convert_to_numpy(batch[grid.name]) for batch in batches]))
        for grid in grids
    }


def best_fraction(values: NDArray[np.float32]) -> int:
    """The fraction of the int8 grid that comes nearest to the values, by the mean of their squared differences."""
    sample = values.ravel()[:: max(1, values.size // SAMPLE)].astype(np.float64)
    largest = max(float(np.abs(values).max()), 2.0**-10)
    whole = int(np.floor(np.log2(127 / largest)))  # nothing is clipped

    def error(fraction: int) -> float:
        on_grid = np.clip(np.floor(sample * 2.0**fraction + 0.5), -128, 127) * 2.0**-fraction
        return float(np.mean((on_grid - sample) ** 2))

    return min(range(whole, whole + 5), key=error)


def is_grid(layer: Any) -> bool:
    """Whether a layer puts what it reads on a grid of 8 bits."""
    return type(getattr(layer, "activation", None)).__name__ == "Grid"


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy the weights of the layers that bear the same name; raises UserError where they do not fit."""
    there = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        if not layer.weights:
            continue
        if layer.name not in there:
            raise UserError(f"start_from: the network to start from has no layer '{layer.name}'")
        mine, theirs = layer.get_weights(), there[layer.name].get_weights()
        for one, other in zip(mine, theirs, strict=False):
            if one.shape != other.shape:
                raise UserError(
                    f"start_from: layer '{layer.name}' has weights {other.shape} there and {one.shape} here; "
                    "both recipes need the same model"
                )
        layer.set_weights(theirs[: len(mine)])


@dataclass
class _Grids:
    """Puts grids behind layers, as they are called one by one; open ones (fractions None) let everything pass."""

    fractions: Fractions | None
    made: dict[str, Any] = field(default_factory=dict)

    def __call__(self, tensor: Any, of: str, what: str = "outputs") -> Any:
        from hybridq.quantize.quantizers import Grid

        name = f"{of}_{what}"
        if name in self.made:
            raise UserError(f"precision: {of} is used more than once, so its outputs cannot be 8-bit")
        fraction = None if self.fractions is None else self.fractions.get(name, DEFAULT_FRACTION)
        self.made[name] = load_qkeras().QActivation(Grid(fraction), name=name)(tensor)
        return self.made[name]

    def of_input(self, tensor: Any, stored: Mapping[str, Operator]) -> Any:
        """An input of the network on its grid; any other tensor itself."""
        import keras

        maker = getattr(getattr(tensor, "_keras_history", None), "operation", None)
        if not isinstance(maker, keras.layers.InputLayer) or maker.name not in stored:
            return tensor
        made = self.made.get(f"{maker.name}_outputs")
        return self(tensor, maker.name) if made is None else made


def _rebuilt(model: keras.Model, plan: PrecisionPlan, fractions: Fractions | None) -> keras.Model:
    load_qkeras()
    import keras

    graph = read_graph(model)
    grids, stored = _Grids(fractions), grids_of(graph, plan)
    split = {name for name, op in stored.items() if holds_table(op)}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        args = keras.tree.map_structure(lambda x: grids.of_input(x, stored), args)
        if layer.name in split:
            function, layer.activation = layer.activation, keras.activations.linear
            sums = grids(layer(*args, **kwargs), layer.name, "sums")
            result = keras.layers.Activation(function, name=f"{layer.name}_function")(sums)
        else:
            result = layer(*args, **kwargs)
        if layer.name in stored:
            return grids(result, layer.name)
        return _narrow(result, layer, plan)

    copy = keras.models.clone_model(model, clone_function=lambda layer: _clone(layer, plan), call_function=call)
    copy_weights(model, copy)
    return copy


def _clone(layer: Any, plan: PrecisionPlan) -> Any:
    kind = type(layer).__name__
    wanted = plan.of(layer.name)
    if kind not in COUNTERPARTS or wanted.weights == wanted.bias == Format.FLOAT32:
        return layer.__class__.from_config(layer.get_config())
    counterpart, quantizers = COUNTERPARTS[kind]
    config = layer.get_config()
    if config.pop("groups", 1) != 1:
        raise UserError(f"precision: {layer.name} is a grouped convolution, which QKeras cannot quantize")
    for key in quantizers:
        config[key] = _quantizer("kernel", wanted.weights, f"{layer.name}: weights", kind == "DepthwiseConv2D")
    config["bias_quantizer"] = _quantizer("bias", wanted.bias, f"{layer.name}: bias")
    made = resolve_name(counterpart)(**config)
    made.name = layer.name  # QKeras forgets that of a recurrent layer
    return made


def _narrow(result: Any, layer: Any, plan: PrecisionPlan) -> Any:
    """Outputs of fewer than 8 bits, behind the layers with weights that a plan names."""
    outputs = plan.of(layer.name).outputs
    if outputs is Format.FLOAT32 or outputs.on_grid or type(layer).__name__.removeprefix("Q") not in COUNTERPARTS:
        return result
    quantizer = _quantizer("outputs", outputs, f"{layer.name}: outputs")
    return load_qkeras().QActivation(quantizer, name=f"{layer.name}_outputs")(result)


def _quantizer(part: str, precision: Format, where: str, depthwise: bool = False) -> Any:
    """A new quantizer for a part of a layer ("kernel", "bias", "outputs"); None for float32."""
    if precision is Format.FLOAT32:
        return None
    quantizer = getattr(precision.row, part)
    if quantizer is None:
        known = ", ".join(str(one) for one in Format if one is Format.FLOAT32 or getattr(one.row, part))
        raise UserError(f"precision: {where} cannot be {precision} (one of: {known})")
    from hybridq.quantize.quantizers import quantizer_of

    return quantizer_of(quantizer, precision, depthwise)
