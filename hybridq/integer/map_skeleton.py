"""Layers that pool, join and move maps, without their values: `skeleton` of these.

Raises UserError naming the layer that has no form in integers, and what would have one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from hybridq.errors import UserError
from hybridq.graph.kinds import Form
from hybridq.graph.operators import Operator
from hybridq.integer.fusion import Chain
from hybridq.integer.map_arithmetic import places_inside
from hybridq.integer.map_checks import image_of
from hybridq.integer.maps import Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import Add, AveragePool, Layer, MaxPool, Requantization, Shape

T = TypeVar("T")


def map_outline(chain: Chain, shape: Shape, sources: Sequence[Shape]) -> Layer:
    """The layer of a chain that makes a tensor of that shape of tensors of those."""
    op = chain.operator
    if any(read.view for read in chain.inputs) and op.facts.form is not Form.VIEW and not _is_mean_of_a_row(op):
        raise UserError(f"{op.name}: it reads a tensor that a Permute or Flatten has made; leave that out before it")
    given = {"name": chain.name, "inputs": tuple(read.chain.name for read in chain.inputs), "shape": shape}
    return OUTLINES[op.facts.form](chain, {**given, "fraction": chain.fraction}, list(sources))


def along(axes: Sequence[T], nothing: T) -> tuple[T, T]:
    """What a layer does along rows and columns; the one row of a sequence gets what does nothing."""
    both = (nothing, nothing, *axes)
    return both[-2], both[-1]


def _is_mean_of_a_row(op: Operator) -> bool:
    return op.facts.family == "global_pool"


def _mean(chain: Chain, given: Mapping[str, Any], sources: list[Shape]) -> Layer:
    if chain.operator.facts.family == "global_pool":
        return AveragePool(**given)
    pool = WindowMean(**given, **_window(chain.operator))
    places = tuple(int(n) for n in np.unique(places_inside(pool, sources[0])))
    nothing = np.zeros(len(places), np.int64)
    return WindowMean(**given, **_window(chain.operator), places=places, out=Requantization(nothing, nothing))


def _largest(chain: Chain, given: Mapping[str, Any], sources: list[Shape]) -> Layer:
    if chain.operator.facts.family != "global_pool":
        return MaxPool(**given, **_window(chain.operator))
    whole = sources[0][0], sources[0][1]
    return MaxPool(**{**given, "shape": image_of(given["shape"])}, window=whole, strides=whole)


def _window(op: Operator) -> dict[str, Any]:
    window, strides = (along(op.attributes[key], 1) for key in ("kernel", "strides"))
    return {"window": window, "strides": strides, "pads": along(op.attributes["pads"], (0, 0))}


def _sum(chain: Chain, given: Mapping[str, Any], sources: list[Shape]) -> Layer:
    op, shapes = chain.operator, set(map(image_of, sources))
    if len(sources) < 2 or shapes != {image_of(given["shape"])}:
        raise UserError(f"{op.name}: it must add tensors of one shape (here {', '.join(map(str, op.input_shapes))})")
    return Add(**given, scales=(1,) * len(sources))


def _product(chain: Chain, given: Mapping[str, Any], sources: list[Shape]) -> Layer:
    op = chain.operator
    if len(sources) != 2 or given["shape"] not in sources:
        raise UserError(f"{op.name}: it must multiply two tensors, one of them of the shape of the result")
    inputs = given["inputs"] if sources[0] == given["shape"] else given["inputs"][::-1]
    return Multiply(**{**given, "inputs": inputs})


def _join(chain: Chain, given: Mapping[str, Any], sources: list[Shape]) -> Layer:
    op = chain.operator
    if op.attributes["axis"] != len(op.output_shape) - 1 or len(sources) < 2:
        raise UserError(f"{op.name}: it must join tensors along their channels, the last axis")
    return Concatenate(**given, shifts=(0,) * len(sources))


def _move(chain: Chain, given: Mapping[str, Any], sources: list[Shape]) -> Layer:
    op = chain.operator
    if op.facts.family == "up_sampling":
        if op.attributes.get("interpolation", "nearest") != "nearest":
            raise UserError(f"{op.name}: only interpolation='nearest' has a form in integers")
        return Upsample(**given, factors=along(op.attributes["size"], 1), zeros=bool(op.attributes.get("zeros")))
    cut = op.facts.family == "cropping"
    pads = along(op.attributes["cropping" if cut else "pads"], (0, 0))
    (top, bottom), (left, right) = pads
    return Pad(**given, pads=((-top, -bottom), (-left, -right)) if cut else pads)


def _reshape(chain: Chain, given: Mapping[str, Any], sources: list[Shape]) -> Layer:
    return Reshape(**given)


def _slopes(chain: Chain, given: Mapping[str, Any], sources: list[Shape]) -> Layer:
    op, channels = chain.operator, given["shape"][-1]
    if op.other not in (1, channels):
        axes = list(range(1, len(op.output_shape)))
        raise UserError(f"{op.name}: a slope for each place has no form in integers; give it shared_axes={axes}")
    return PReLU(**given, slopes=np.zeros(channels, np.int64))


OUTLINES: dict[Form, Callable[[Chain, Mapping[str, Any], list[Shape]], Layer]] = {
    Form.MEAN: _mean,
    Form.LARGEST: _largest,
    Form.SUM: _sum,
    Form.PRODUCT: _product,
    Form.JOINED: _join,
    Form.MOVED: _move,
    Form.VIEW: _reshape,
    Form.SLOPES: _slopes,
}
