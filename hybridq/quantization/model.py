"""A precision plan onto a Keras model: the layers it names become QKeras layers, the others stay as they are.

The model is rebuilt layer by layer from the float one, so there is one definition of each network. Weights keep their
names and shapes: a quantized network starts from a float network's weights by copying them.

Where a plan names 8-bit outputs, the tensors between layers are put on the grids of the integer network
(`hybridq.integer`): a Grid stands wherever that network stores a tensor (`steps`), and its step is found by
`calibrated`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
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
from hybridq.quantization.decomposition import DEPTHWISE, SEPARABLE, decomposed, parts_of
from hybridq.quantization.steps import grid_name, grids_of, holds_table

if TYPE_CHECKING:
    import keras

Fractions = Mapping[str, int]  # the fraction of each grid, by the name of its layer: its step is 2**-fraction

# Keras layers with weights that a plan can name: where their counterpart is, and the names of its weight quantizers.
COUNTERPARTS = {row.name: (row.counterpart, row.quantizers) for row in KINDS.values() if row.counterpart}
DEFAULT_FRACTION = 4  # of a grid that was not calibrated: +-8, in steps of 1/16
SAMPLE = 500_000  # values of a tensor that calibration looks at
BATCH = 64  # clips that calibration takes at once


def quantizable(model: keras.Model) -> list[str]:
    """The names of the layers whose weights a plan can name; a separable convolution has its depthwise part's too."""
    names = []
    for layer in model.layers:
        kind = type(layer).__name__
        names += [layer.name] if kind in COUNTERPARTS else []
        names += [layer.name + DEPTHWISE, layer.name] if kind in SEPARABLE else []
    return names


def quantize(model: keras.Model, plan: PrecisionPlan, fractions: Fractions | None = None) -> keras.Model:
    """A copy of the model, its weights included, with the layers as the plan represents them.

    `fractions` are those of the grids of 8-bit outputs, as `calibrated` finds them. Raises UserError for a pattern that
    matches no layer, or a precision that a part of a layer cannot have.
    """
    _check_kept(model, plan)
    plan.check(quantizable(model), [layer.name for layer in model.layers])
    return _rebuilt(model, plan, {} if fractions is None else fractions) if plan.rules else model


def _check_kept(model: keras.Model, plan: PrecisionPlan) -> None:
    """Raise UserError for a pattern about weights that are all quantized already: these stay as they were trained."""
    free = quantizable(model)
    of_plan = {counterpart.rpartition(".")[2] for counterpart, _ in COUNTERPARTS.values()}
    kept = [layer.name for layer in model.layers if type(layer).__name__ in of_plan]
    for pattern, parts in plan.rules:
        named = [name for name in kept if fnmatchcase(name, pattern)]
        if named and "outputs" not in dict(parts) and not any(fnmatchcase(name, pattern) for name in free):
            raise UserError(
                f"precision: the pattern '{pattern}' names only layers that were quantized before "
                f"({', '.join(named)}), and these stay as they are: leave it out, or start from the model before that"
            )


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
    there = {layer.name: layer.get_weights() for layer in source.layers}
    for layer in source.layers:
        if type(layer).__name__ in SEPARABLE and f"{layer.name}{DEPTHWISE}" in {one.name for one in target.layers}:
            there[layer.name + DEPTHWISE], there[layer.name] = there[layer.name][:1], there[layer.name][1:]
    for layer in target.layers:
        if not layer.weights:
            continue
        if layer.name not in there:
            raise UserError(f"start_from: the network to start from has no layer '{layer.name}'")
        mine, theirs = layer.get_weights(), there[layer.name]
        for one, other in zip(mine, theirs, strict=False):
            if one.shape != other.shape:
                raise UserError(
                    f"start_from: layer '{layer.name}' has weights {other.shape} there and {one.shape} here; "
                    "both recipes need the same model"
                )
        give_weights(layer, theirs[: len(mine)])


def give_weights(layer: Any, weights: list[NDArray[Any]]) -> None:
    """Set a layer's weights. What was adapted to data (Normalization) computes with them after its last word alone."""
    layer.set_weights(weights)
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def named_inputs(model: keras.Model) -> Any:
    """New inputs of the model's shapes, in its structure of them, that bear the names of its input layers.

    Those that Keras makes for a copy bear the names of the tensors, which are others where an input was given none.
    """
    import keras

    def again(tensor: Any) -> Any:
        name = tensor._keras_history.operation.name
        return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)

    sequential = isinstance(model, keras.Sequential)
    return keras.tree.map_structure(again, model.inputs[0] if sequential else model.input)


@dataclass
class _Grids:
    """Puts grids behind layers, as they are called one by one; open ones (fractions None) let everything pass."""

    fractions: Fractions | None
    made: dict[str, Any] = field(default_factory=dict)

    def __call__(self, tensor: Any, of: str, what: str = "outputs") -> Any:
        from hybridq.quantization.quantizers import Grid

        name = grid_name(of, what)
        fraction = None if self.fractions is None else self.fractions.get(name, DEFAULT_FRACTION)
        self.made[name] = load_qkeras().QActivation(Grid(fraction), name=name)(tensor)
        return self.made[name]

    def of_input(self, tensor: Any, stored: Mapping[str, Operator]) -> Any:
        """An input of the network on its grid; any other tensor itself."""
        import keras

        maker = getattr(getattr(tensor, "_keras_history", None), "operation", None)
        if not isinstance(maker, keras.layers.InputLayer) or maker.name not in stored:
            return tensor
        made = self.made.get(grid_name(maker.name))
        return self(tensor, maker.name) if made is None else made


def _rebuilt(model: keras.Model, plan: PrecisionPlan, fractions: Fractions | None) -> keras.Model:
    load_qkeras()
    import keras

    graph = decomposed(read_graph(model), plan)
    grids, stored = _Grids(fractions), grids_of(graph, plan)
    split = {name for name, op in stored.items() if holds_table(op)}

    functions: dict[str, Any] = {}  # of the layers whose function reads what is stored
    parts: dict[int, list[Any]] = {}  # of the layers that are several
    calls: Counter[str] = Counter()

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) not in parts:
            made = [_clone(one, plan) for one in parts_of(layer, plan)]
            parts.update({id(one): [] for one in made} | {id(layer): made})
        if parts[id(layer)]:
            for part in parts[id(layer)]:
                args = (call(part, *args),)
            return args[0]
        args = keras.tree.map_structure(lambda x: grids.of_input(x, stored), args)
        name = f"{layer.name}:{calls[layer.name]}" if calls[layer.name] else layer.name
        calls[layer.name] += 1
        if name in split:
            function = functions.setdefault(layer.name, layer.activation)
            layer.activation = keras.activations.linear
            sums = grids(layer(*args, **kwargs), name, "sums")
            result = keras.layers.Activation(function, name=grid_name(name, "function"))(sums)
        else:
            result = layer(*args, **kwargs)
        return grids(result, name) if name in stored else _narrow(result, layer, plan, name)

    copy = keras.models.clone_model(
        model, named_inputs(model), clone_function=lambda layer: _clone(layer, plan), call_function=call
    )
    copy_weights(model, copy)
    return copy


def _clone(layer: Any, plan: PrecisionPlan) -> Any:
    kind = type(layer).__name__
    wanted = plan.of(layer.name)
    plain = kind not in COUNTERPARTS or wanted.weights == wanted.bias == Format.FLOAT32
    if plain or getattr(layer, "padding", None) == "causal":  # that one is taken apart when it is called
        return layer.__class__.from_config(layer.get_config())
    counterpart, quantizers = COUNTERPARTS[kind]
    config = layer.get_config()
    if config.pop("groups", 1) != 1:
        raise UserError(f"precision: {layer.name} is a grouped convolution, which QKeras cannot quantize")
    for key in quantizers:
        config[key] = kernel_quantizer(wanted.weights, layer.name, kind)
    config["bias_quantizer"] = _quantizer("bias", wanted.bias, f"{layer.name}: bias")
    made = resolve_name(counterpart)(**config)
    made.name = layer.name  # QKeras forgets that of a recurrent layer
    return made


def kernel_quantizer(weights: Format, layer: str, kind: str) -> Any:
    """A new quantizer for the kernel of a layer of that name and kind; None for float32."""
    return _quantizer("kernel", weights, f"{layer}: weights", kind)


def _narrow(result: Any, layer: Any, plan: PrecisionPlan, name: str) -> Any:
    """Outputs of fewer than 8 bits, behind the layers with weights that a plan names."""
    outputs = plan.of(layer.name).outputs
    if outputs is Format.FLOAT32 or outputs.on_grid or type(layer).__name__.removeprefix("Q") not in COUNTERPARTS:
        return result
    quantizer = _quantizer("outputs", outputs, f"{layer.name}: outputs")
    return load_qkeras().QActivation(quantizer, name=grid_name(name))(result)


def _quantizer(part: str, precision: Format, where: str, kind: str = "") -> Any:
    """A new quantizer for a part of a layer ("kernel", "bias", "outputs"); None for float32."""
    if precision is Format.FLOAT32:
        return None
    quantizer = getattr(precision.row, part)
    if quantizer is None:
        known = ", ".join(str(one) for one in Format if one is Format.FLOAT32 or getattr(one.row, part))
        raise UserError(f"precision: {where} cannot be {precision} (one of: {known})")
    from hybridq.quantization.quantizers import quantizer_of

    return quantizer_of(quantizer, precision, kind)
