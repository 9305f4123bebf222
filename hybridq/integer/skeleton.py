"""The integer network without its values: layers of the right kinds, shapes and widths, with zeros for weights.

It needs the chains of a graph alone (`chains.structure`), so what an image takes can be asked before anything is
trained; `layers` fills the values in.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeVar

import numpy as np

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.kinds import Form
from hybridq.graph.operators import Operator
from hybridq.integer.fusion import Chain
from hybridq.integer.network import (
    Add,
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Layer,
    MaxPool,
    Memory,
    Shape,
)
from hybridq.integer.scaling import memory_shifts
from hybridq.integer.weights import width_of
from hybridq.models.legendre import reach, step
from hybridq.quantize.steps import CLIP, FUNCTION, GRID, NORM, TURNED

NOTHING = np.zeros(1, np.int64)
T = TypeVar("T")


def outline(chains: Sequence[Chain]) -> IntegerNetwork:
    """The layers of those chains, the first of which is the network's input.

    Raises UserError naming the layer that has no form in integers.
    """
    start, *others = chains
    layers: list[Layer] = []
    shapes: dict[str, Shape] = {start.name: image_shape(start.operator.output_shape)}
    for chain in others:
        layer = _layer(chain, shapes[chain.inputs[0].chain.name])
        shapes[chain.name] = layer.shape
        layers.append(layer)
    return IntegerNetwork(start.name, shapes[start.name], start.fraction, tuple(layers))


def image_shape(shape: Shape) -> Shape:
    """The shape of a Keras tensor in the integer network: a sequence (steps, channels) is an image of one row."""
    return (1, *shape) if len(shape) == 2 else shape


def mean_scale(chain: Chain) -> float:
    """What an average multiplies its sums by."""
    before = chain.inputs[0].chain.fraction
    return float(2.0 ** (chain.fraction - before) / prod(chain.operator.input_shapes[0][:-1]))


def _layer(chain: Chain, source: Shape) -> Layer:
    op, shape = chain.operator, image_shape(chain.operator.output_shape)
    name, inputs = chain.name, tuple(read.chain.name for read in chain.inputs)
    turned = any(read.view == TURNED for read in chain.inputs)
    if turned and op.kind != "Conv1D":
        raise UserError(f"{op.name}: only a 1-D convolution can read what a Permute makes")
    if op.facts.form is Form.WEIGHTS:
        _check_settings(op)
        moves = {key: _along(op.attributes.get(key, ()), none) for key, none in (("strides", 1), ("pads", (0, 0)))}
        return _weighted(chain, shape, _weights(op, turned), width_of(op), moves)
    if op.facts.form is Form.BEHIND:
        if len(source) != 3 or chain.inputs[0].view:
            raise UserError(f"{op.name}: put it directly behind a convolution or dense layer; here it reads a row")
        return _weighted(chain, shape, (1, 1, source[-1]))
    if op.facts.form is Form.MEAN:
        return AveragePool(name, inputs, shape, chain.fraction)
    if op.facts.form is Form.MEMORY:
        order, window = op.attributes["order"], op.attributes["window"]
        once, grids = step(order, window), (chain.inputs[0].chain.fraction, chain.fraction)
        shifts = memory_shifts(name, reach(order, window), *grids)
        return Memory(name, inputs, shape, chain.fraction, once.matrix, once.shift, *shifts)
    if op.facts.form is Form.SUM:
        if len(inputs) != 2 or len(set(op.input_shapes)) != 1 or any(read.view for read in chain.inputs):
            raise UserError(f"{op.name}: it must add two tensors of one shape")
        return Add(name, inputs, shape, chain.fraction)
    if any(map(any, op.attributes.get("pads", ()))):
        raise UserError(f"{op.name}: a pool with padding has no form in integers; use padding 'valid'")
    window = strides = (source[0], source[1])  # of a global one: all of its input
    if op.facts.family != "global_pool":
        window, strides = (_along(op.attributes[key], 1) for key in ("kernel", "strides"))
    return MaxPool(name, inputs, shape if len(shape) == 3 else (1, 1, *shape), chain.fraction, window, strides)


def _weighted(
    chain: Chain, shape: Shape, weights: Shape, width: Format = Format.INT8, moves: dict[str, Any] | None = None
) -> Layer:
    """A layer with weights of that shape, and the table and the batch norm behind what it stores first."""
    behind = chain.word.partition(GRID)[2]
    given: dict[str, Any] = {
        "name": chain.name,
        "inputs": (chain.inputs[0].chain.name,),
        "shape": shape,
        "fraction": chain.parts[-1].value if GRID in chain.word else 0,  # that of the logits is a matter of values
        "weights": np.broadcast_to(NOTHING, weights),
        "width": width,
        "table": np.zeros(256, np.int64) if behind[:1] in (CLIP, FUNCTION) else None,
        "affine": Affine(NOTHING, NOTHING, 0) if NORM in behind else None,
    }
    if len(weights) == 2:
        return Dense(**given)
    return (Depthwise if len(weights) == 3 else Convolution)(**given, **(moves or {}))


def _weights(op: Operator, turned: bool) -> Shape:
    """The shape of a layer's weights, see `network`; turned: the channels of its sequence are the rows of an image."""
    inputs, outputs = op.input_shapes[0][-1], op.output_shape[-1]
    if op.facts.family == "dense":  # at each place of an image by itself
        return (inputs, outputs) if len(op.input_shapes[0]) == 1 else (1, 1, inputs, outputs)
    kernel = op.attributes["kernel"]
    if op.facts.family == "depthwise":
        return (*_along(kernel, 1), outputs)
    return (inputs, *kernel, 1, outputs) if turned else (*_along(kernel, 1), inputs, outputs)


def _along(axes: Sequence[T], nothing: T) -> tuple[T, T]:
    """What a layer does along rows and columns; the one row of a sequence gets what does nothing."""
    both = (nothing, nothing, *axes)
    return both[-2], both[-1]


def _check_settings(op: Operator) -> None:
    for setting, plain in (("groups", 1), ("dilation", 1), ("depth_multiplier", 1)):
        depthwise_groups = setting == "groups" and op.facts.family == "depthwise"
        value = op.attributes.get(setting, plain)
        if not depthwise_groups and set(np.ravel(value)) != {plain}:
            raise UserError(f"{op.name}: {setting} {value} has no form in integers; only {plain} has")
