"""Layers that move values or join tensors and store nothing: reshapes, merges, those without effect at inference."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from hybridq.errors import UserError
from hybridq.graph.keras.layers.description import (
    Config,
    Description,
    RuleOf,
    always,
    number,
    numbers,
    one,
    refused,
    unknown,
)
from hybridq.graph.operators import Shape


def _flatten(config: Config, inputs: Sequence[Shape]) -> Description:
    return Description("", (prod(one(inputs)),))


def _reshape(config: Config, inputs: Sequence[Shape]) -> Description:
    """A layer's target shape is without the batch; that of `keras.ops.reshape` begins with it, and may change it."""
    source, operation = one(inputs), "newshape" in config
    target = config.get("newshape" if operation else "target_shape")
    if not isinstance(target, list | tuple) or not all(n is None or isinstance(n, int) for n in target):
        raise UserError(f"target_shape is {target!r}")
    batch, sizes = (target[0] if target else 0, target[1:]) if operation else (None, target)
    known = prod(n for n in sizes if n not in (None, -1))
    shape = tuple(prod(source) // max(known, 1) if n in (None, -1) else n for n in sizes)
    if prod(shape) == prod(source) and batch in (None, -1):
        return Description("", shape)
    if operation:
        return unknown("Reshape of the batch")
    raise UserError(f"{source} does not reshape to {tuple(target)}")


def _permute(config: Config, inputs: Sequence[Shape]) -> Description:
    source = one(inputs)
    order = numbers(config, "dims", len(source))
    if sorted(order) != list(range(1, len(source) + 1)):
        raise UserError(f"dims is {order}, not an order of the axes of {source}")
    return Description("", tuple(source[axis - 1] for axis in order), {"dims": order})


def _repeat_vector(config: Config, inputs: Sequence[Shape]) -> Description:
    return Description("", (number(config, "n"), *one(inputs, 1)))


def _same(config: Config, inputs: Sequence[Shape]) -> Description:
    return Description("", one(inputs))


def _elementwise(config: Config, inputs: Sequence[Shape]) -> Description:
    """The inputs broadcast: an axis of 1, or one that is missing in front, fits any size. One: with a constant."""
    if not inputs:
        raise refused(inputs)
    axes = max(map(len, inputs))
    aligned = [(1,) * (axes - len(shape)) + shape for shape in inputs]
    sizes = [{n for n in column if n != 1} or {1} for column in zip(*aligned, strict=True)]
    if any(len(column) > 1 for column in sizes):
        raise refused(inputs)
    return Description("", tuple(n for column in sizes for n in column))


def _any(config: Config, inputs: Sequence[Shape]) -> Description:
    """Whether any value of the last axis is true: the mask of a masking layer."""
    source = one(inputs)
    if config.get("axis") != -1 or len(source) < 2:
        return unknown("Any")
    return Description("", (*source[:-1], 1) if config.get("keepdims") else source[:-1])


def _concatenate(config: Config, inputs: Sequence[Shape]) -> Description:
    axis, axes = config.get("axis", -1), len(inputs[0]) if inputs else 0
    at = axis - 1 if isinstance(axis, int) and axis > 0 else axes + axis if isinstance(axis, int) else -1
    rest = {(shape[:at], shape[at + 1 :]) for shape in inputs}
    if not 0 <= at < axes or len(rest) != 1:
        raise UserError(f"it cannot join {', '.join(map(str, inputs))} along axis {axis!r}")
    return Description("", (*inputs[0][:at], sum(shape[at] for shape in inputs), *inputs[0][at + 1 :]), {"axis": at})


def _dot(config: Config, inputs: Sequence[Shape]) -> Description:
    """Sums of products along one axis of each input; axes are counted with the batch as 0."""
    if len(inputs) != 2:
        raise refused(inputs)
    axes = config.get("axes")
    pair = [axes, axes] if isinstance(axes, int) else list(axes) if isinstance(axes, list | tuple) else []
    if len(pair) != 2 or not all(type(axis) is int for axis in pair):
        raise UserError(f"axes is {axes!r}")
    at = [axis - 1 if axis > 0 else len(shape) + axis for axis, shape in zip(pair, inputs, strict=True)]
    if not all(0 <= i < len(shape) for i, shape in zip(at, inputs, strict=True)):
        raise refused(inputs)
    length = inputs[0][at[0]]
    if inputs[1][at[1]] != length:
        raise refused(inputs)
    kept = [shape[:i] + shape[i + 1 :] for i, shape in zip(at, inputs, strict=True)]
    attributes = {"length": length, "normalize": bool(config.get("normalize"))}
    return Description("", kept[0] + kept[1] or (1,), attributes)


RULES: dict[str, RuleOf] = {
    "unchanged": always(_same),
    "merge": always(_elementwise),
    "average": always(_elementwise),
    "comparison": always(_elementwise),
    "any": always(_any),
    "masking": always(_same),
    "flatten": always(_flatten),
    "reshape": always(_reshape),
    "permutation": always(_permute),
    "repetition": always(_repeat_vector),
    "concatenation": always(_concatenate),
    "dot": always(_dot),
}
