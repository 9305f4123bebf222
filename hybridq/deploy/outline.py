"""The integer network of a network without its values: what an image of it holds, before anything is trained.

The layers are those of `convert.integer_network`, of the same shapes and widths, with zeros for weights; so the planner
and the sizes of an image can be asked for a network of which there is but a description. Two things depend on the
values, and differ in rare cases: weights that are too coarse for the grid of their results are stored in more bits, and
the grids decide how a mean over very few places is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeVar

import numpy as np

from hybridq.deploy.chains import AVERAGES, CLIP, FUNCTION, GRID, IDENTITIES, NORM, TURNED, Chain, is_grid_operator, structure
from hybridq.deploy.network import (
    Add,
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Layer,
    MaxPool,
    Shape,
    Width,
)
from hybridq.deploy.scaling import LARGEST_SCALE
from hybridq.deploy.weights import check_settings
from hybridq.errors import UserError
from hybridq.graph import Graph, Operator
from hybridq.precision import LayerPrecision, Precision, PrecisionPlan
from hybridq.quantize import COUNTERPARTS, DEFAULT_FRACTION, WEIGHTED, grids_of, holds_table

# How the weights of each precision are stored; float32 ones are rounded to 8 bits.
WIDTHS = {
    Precision.FLOAT32: Width.INT8,
    Precision.INT8: Width.INT8,
    Precision.INT4: Width.INT4,
    Precision.TERNARY: Width.TERNARY,
    Precision.BINARY: Width.BINARY,
}
NOTHING = np.zeros(1, np.int64)
T = TypeVar("T")


@dataclass(frozen=True)
class Outline:
    """An integer network without values; the chains that its layers stand for, in the same order."""

    network: IntegerNetwork
    chains: tuple[Chain, ...]


def outline(graph: Graph) -> Outline:
    """The outline of a network on grids: a QKeras one, or what `planned` makes of a float one.

    Raises UserError naming the layer that has no form in integers.
    """
    start, *chains = structure(graph)
    layers: list[Layer] = []
    shapes: dict[str, Shape] = {start.name: stored_shape(start.operator.output_shape)}
    for chain in chains:
        layer = _layer(chain, shapes[chain.inputs[0].chain.name])
        shapes[chain.name] = layer.shape
        layers.append(layer)
    network = IntegerNetwork(start.name, shapes[start.name], start.fraction, tuple(layers))
    return Outline(network, tuple(chains))


def planned(graph: Graph, plan: PrecisionPlan | None) -> Graph:
    """The graph of the network that `quantize.quantize` makes by a plan; one with grids keeps those that it has."""
    if plan is None:
        return graph
    gridded = any(map(is_grid_operator, graph.operators))
    stored = {} if gridded else grids_of(graph, plan)
    found: list[Operator] = []
    now: dict[str, str] = {}  # operator of the float network -> the one that makes its result

    def add(op: Operator) -> str:
        found.append(op)
        return op.name

    for op in graph.operators:
        said = plan.of(op.name)
        precision = LayerPrecision(said.weights, said.bias) if op.kernel else op.precision
        attributes = {key: value for key, value in op.attributes.items() if key != "kernel_quantizer"}
        inputs = tuple(now.get(name, name) for name in op.inputs)
        name, shape = op.name, op.output_shape
        if op.name in stored and holds_table(op):
            made = replace(op, inputs=inputs, precision=precision, attributes={**attributes, "activation": "linear"})
            sums = add(_quantizer(f"{name}_sums", add(made), shape))
            function = {"activation": op.attributes["activation"]}
            name = add(Operator(f"{name}_function", "Activation", (sums,), (shape,), shape, function))
        else:
            name = add(replace(op, inputs=inputs, precision=precision, attributes=attributes))
        if op.name in stored:
            name = add(_quantizer(f"{op.name}_outputs", name, shape))
        elif not gridded and op.kind in COUNTERPARTS and said.outputs not in (Precision.FLOAT32, Precision.INT8):
            name = add(_quantizer(f"{op.name}_outputs", name, shape, said.outputs))
        now[op.name] = name
    return Graph(graph.name, tuple(found), tuple(now[name] for name in graph.outputs))


def _quantizer(name: str, source: str, shape: Shape, outputs: Precision = Precision.INT8) -> Operator:
    """A Grid, or a quantizer of fewer bits."""
    attributes = {"activation": "linear", "quantizer": "Grid", "fraction": DEFAULT_FRACTION}
    if outputs is not Precision.INT8:
        attributes = {"activation": "linear", "quantizer": outputs.value}
    precision = LayerPrecision(outputs=outputs)
    return Operator(name, "Activation", (source,), (shape,), shape, attributes, precision=precision)


# ------------------------------------------------------------------------------------------ layers


def stored_shape(shape: Shape) -> Shape:
    """The shape of a Keras tensor in the integer network: a sequence (steps, channels) is an image of one row."""
    return (1, *shape) if len(shape) == 2 else shape


def width_of(op: Operator) -> Width:
    """How a layer's weights are stored; raises UserError for a quantizer that has no form in integers."""
    precision = (op.precision or LayerPrecision()).weights
    quantizer = str(op.attributes.get("kernel_quantizer", "")).removeprefix("Depthwise").lower()
    if quantizer in ("bits", "quantized_bits") and precision is not Precision.FLOAT32:
        return Width.INT4 if precision.bits <= Width.INT4.bits else Width.INT8
    if quantizer not in ("", "ternary", "binary"):
        raise UserError(f"{op.name}: weights by {op.attributes['kernel_quantizer']} have no form in integers")
    return WIDTHS[precision]


def _layer(chain: Chain, source: Shape) -> Layer:
    op, shape = chain.operator, stored_shape(chain.operator.output_shape)
    turned = any(read.view == TURNED for read in chain.inputs)
    if turned and op.kind != "Conv1D":
        raise UserError(f"{op.name}: only a 1-D convolution can read what a Permute makes")
    if op.kind in WEIGHTED:
        check_settings(op)
        pads = _of_image(op.attributes.get("pads", ()), (0, 0))
        return _weighted(
            chain, shape, _weights(op, turned), width_of(op), _of_image(op.attributes.get("strides", ()), 1), pads
        )
    if op.kind in IDENTITIES:
        if len(source) != 3 or chain.inputs[0].view:
            raise UserError(f"{op.name}: put it directly behind a convolution or dense layer; here it reads a row")
        return _weighted(chain, shape, (1, 1, source[-1]))
    name, inputs, fraction = chain.name, tuple(read.chain.name for read in chain.inputs), chain.fraction
    if op.kind in AVERAGES:
        if 2.0 ** (fraction - chain.inputs[0].chain.fraction) / prod(source[:-1]) >= LARGEST_SCALE:
            return _weighted(chain, (1, 1, source[-1]), source)
        return AveragePool(name, inputs, shape, fraction)
    if op.kind == "Add":
        if len(inputs) != 2 or len(set(op.input_shapes)) != 1 or any(read.view for read in chain.inputs):
            raise UserError(f"{op.name}: it must add two tensors of one shape")
        return Add(name, inputs, shape, fraction)
    if any(map(any, op.attributes.get("pads", ()))):
        raise UserError(f"{op.name}: a pool with padding has no form in integers; use padding 'valid'")
    window = strides = (source[0], source[1])
    if not op.kind.startswith("Global"):
        window, strides = _of_image(op.attributes["kernel"], 1), _of_image(op.attributes["strides"], 1)
    return MaxPool(name, inputs, shape if len(shape) == 3 else (1, 1, *shape), fraction, window, strides)


def _weights(op: Operator, turned: bool) -> Shape:
    """The shape of a layer's weights, see `network`; `turned`: of a sequence whose channels are the rows of an image."""
    inputs, outputs = op.input_shapes[0][-1], op.output_shape[-1]
    if op.kind == "Dense":  # at each place of an image by itself
        return (inputs, outputs) if len(op.input_shapes[0]) == 1 else (1, 1, inputs, outputs)
    kernel = op.attributes["kernel"]
    if "Depthwise" in op.kind:
        return (*_of_image(kernel, 1), outputs)
    return (inputs, *kernel, 1, outputs) if turned else (*_of_image(kernel, 1), inputs, outputs)


def _of_image(of_axes: Sequence[T], of_rows: T) -> tuple[T, T]:
    """What a layer does along rows and columns; the only row of a sequence gets what does nothing."""
    along = (of_rows, of_rows, *of_axes)
    return along[-2], along[-1]


def _weighted(
    chain: Chain,
    shape: Shape,
    weights: Shape,
    width: Width = Width.INT8,
    strides: tuple[int, int] = (1, 1),
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
) -> Layer:
    """A layer with weights of that shape, and the table and the batch norm behind what it stores first."""
    behind = chain.word.partition(GRID)[2]
    fraction = chain.fraction if chain.word.strip(NORM) else 0  # the logits have a grid of their own
    given: dict[str, Any] = {
        "weights": np.broadcast_to(NOTHING, weights),
        "width": width,
        "bias": NOTHING,
        "table": np.zeros(256, np.int64) if behind[:1] in (CLIP, FUNCTION) else None,
        "affine": Affine(NOTHING, NOTHING, 0) if NORM in behind else None,
    }
    name, inputs = chain.name, (chain.inputs[0].chain.name,)
    if len(weights) == 2:
        return Dense(name, inputs, shape, fraction, **given)
    kind = Depthwise if len(weights) == 3 else Convolution
    return kind(name, inputs, shape, fraction, **given, strides=strides, pads=pads)
