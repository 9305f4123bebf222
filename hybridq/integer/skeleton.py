"""The integer network without its values: layers of the right kinds, shapes and widths, with zeros for weights.

It needs the chains of a graph alone (`fusion.structure`), so what an image takes can be asked before anything is
trained; `lowering` fills the values in.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.kinds import Form
from hybridq.graph.operators import Operator
from hybridq.integer.description import Description
from hybridq.integer.fusion import Chain, image_shape
from hybridq.integer.map_checks import image_of
from hybridq.integer.map_skeleton import along, map_outline
from hybridq.integer.network import (
    INT16,
    NO_PADS,
    Affine,
    Convolution,
    Dense,
    Depthwise,
    IntegerNetwork,
    Layer,
    Memory,
    Requantization,
    Shape,
)
from hybridq.integer.scaling import memory_shifts
from hybridq.integer.weights import width_of
from hybridq.models.legendre import reach, step
from hybridq.quantization.steps import BY_VALUE, CLIP, FLAT, FUNCTION, GRID, NORM, TURNED

NOTHING = np.zeros(1, np.int64)


def outline(chains: Sequence[Chain]) -> IntegerNetwork:
    """The layers of those chains, the first of which is the network's input.

    Raises UserError naming the layer that has no form in integers.
    """
    start, *others = chains
    layers: list[Layer] = []
    shapes: dict[str, Shape] = {start.name: image_shape(start.operator.output_shape)}
    for chain in others:
        layer = _layer(chain, [shapes[read.chain.name] for read in chain.inputs])
        shapes[chain.name] = layer.shape
        layers.append(layer)
    leaving = {chain.output: chain for chain in others if chain.output is not None}
    functions = tuple(leaving[number].function for number in sorted(leaving))
    return IntegerNetwork(
        start.name,
        shapes[start.name],
        start.fraction,
        tuple(layers),
        Description(activation=functions if any(functions) else ()),
        tuple(leaving[number].name for number in sorted(leaving)),
    )


def mean_scale(chain: Chain) -> float:
    """What an average multiplies its sums by."""
    before = chain.inputs[0].chain.fraction
    return float(2.0 ** (chain.fraction - before) / prod(chain.operator.input_shapes[0][:-1]))


def _layer(chain: Chain, sources: list[Shape]) -> Layer:
    op, shape, source = chain.operator, image_shape(chain.operator.output_shape), sources[0]
    name, inputs = chain.name, tuple(read.chain.name for read in chain.inputs)
    turned = any(read.view == TURNED for read in chain.inputs)
    if turned and op.kind != "Conv1D":
        raise UserError(f"{op.name}: only a 1-D convolution can read what a Permute makes")
    if op.facts.form is Form.WEIGHTS:
        _check_settings(op)
        return _weighted(chain, shape, _weights(op, turned), width_of(op), _moves(chain))
    if op.facts.form is Form.BEHIND:
        flat = chain.inputs[0].view == FLAT and set(chain.word) <= set(BY_VALUE)
        if len(source) != 3 or (chain.inputs[0].view and not flat):
            raise UserError(f"{op.name}: put it directly behind a convolution or dense layer; here it reads a row")
        return _weighted(chain, source if flat else image_of(shape), (1, 1, source[-1]))
    if op.facts.form is Form.MEMORY:
        order, window = op.attributes["order"], op.attributes["window"]
        once, grids = step(order, window), (chain.inputs[0].chain.fraction, chain.fraction)
        shifts = memory_shifts(name, reach(order, window), *grids)
        return Memory(name, inputs, shape, chain.fraction, once.matrix, once.shift, *shifts)
    return map_outline(chain, shape, sources)


def _moves(chain: Chain) -> dict[str, Any]:
    """How the window of a convolution moves; the zeros around are those of a padding before it too."""
    op = chain.operator
    if op.facts.family == "dense":
        return {"strides": (1, 1), "pads": NO_PADS}
    own, before = (along(pads, (0, 0)) for pads in (op.attributes.get("pads", ()), chain.inputs[0].pads))
    pads = tuple((a + c, b + d) for (a, b), (c, d) in zip(own, before, strict=True))
    moves = {
        "strides": along(op.attributes.get("strides", ()), 1),
        "pads": pads,
        "dilation": along(op.attributes.get("dilation", ()), 1),
    }
    if op.facts.family == "depthwise":
        moves["depth_multiplier"] = op.attributes.get("depth_multiplier", 1)
    return moves


def _weighted(
    chain: Chain, shape: Shape, weights: Shape, width: Format = Format.INT8, moves: dict[str, Any] | None = None
) -> Layer:
    """A layer with weights of that shape, and the table and the batch norm behind what it stores first."""
    behind = chain.word.partition(GRID)[2]
    given: dict[str, Any] = {
        "name": chain.name,
        "inputs": (chain.inputs[0].chain.name,),
        "shape": shape,
        "fraction": chain.parts[-1].value if GRID in chain.word else 0,  # of sums that leave, a matter of values
        "weights": np.broadcast_to(NOTHING, weights),
        "width": width,
        "table": np.zeros(256, np.int64) if behind[:1] in (CLIP, FUNCTION) else None,
        "affine": Affine(NOTHING, NOTHING, 0) if NORM in behind else None,
    }
    if chain.wide:
        given["out"] = Requantization(NOTHING, NOTHING, *INT16)
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
        return (*along(kernel, 1), outputs)
    return (inputs, *kernel, 1, outputs) if turned else (*along(kernel, 1), inputs, outputs)


def _check_settings(op: Operator) -> None:
    groups = op.attributes.get("groups", 1)
    if op.facts.family == "convolution" and groups != 1:
        raise UserError(
            f"{op.name}: {groups} groups have no form in integers; take a depthwise convolution or a plain one"
        )
