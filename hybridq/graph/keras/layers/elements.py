"""Dense and embedding, nonlinearities, normalisations: layers that work on each place of a tensor by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

from hybridq.errors import UserError
from hybridq.graph.keras.layers.description import Config, Description, Rule, RuleOf, always, number, one, unknown
from hybridq.graph.keras.layers.quantizers import ACTIVATION_LAYERS, activation_of
from hybridq.graph.kinds import LayerKind
from hybridq.graph.operators import Shape

EQUATION = re.compile(r"((?:[a-z]|\.\.\.)[a-z]{0,8}),([a-z]{1,8})->((?:[a-z]|\.\.\.)[a-z]{0,8})")


def _dense(config: Config, inputs: Sequence[Shape]) -> Description:
    source, units = one(inputs), number(config, "units")
    bias = bool(config.get("use_bias", True))
    attributes = {"units": units, "use_bias": bias, "activation": activation_of(config.get("activation"))}
    return Description("", (*source[:-1], units), attributes, source[-1] * units, units if bias else 0)


def _einsum_dense(config: Config, inputs: Sequence[Shape]) -> Description:
    """A product of the input and a kernel by an equation such as "abc,cd->abd", whose first axis is the batch."""
    source = (1, *one(inputs))
    match = EQUATION.fullmatch(str(config.get("equation")))
    if not match:
        return unknown(f"EinsumDense, {config.get('equation')!r:.40}")
    given, kernel, result = match.groups()
    between = "".join(map(chr, range(ord("A"), ord("A") + len(source) - len(given.replace("...", "")))))
    given, result = given.replace("...", between), result.replace("...", between)
    shape = config.get("output_shape")
    stated = list(shape) if isinstance(shape, list | tuple) else [shape]
    # None in the stated shape: as the input has it
    sizes = {axis: n for axis, n in zip(reversed(result), reversed(stated), strict=False) if n is not None}
    sizes |= dict(zip(given, source, strict=False))
    fits = len(given) == len(source) and {*kernel, *result} <= sizes.keys()
    if not fits or not all(type(n) is int and n > 0 for n in sizes.values()):
        raise UserError(f"its equation {match[0]!r} does not fit the input {source[1:]} and the output {stated}")
    biased = [axis for axis in str(config.get("bias_axes") or "") if axis in sizes]
    attributes = {
        "products": prod(sizes.values()),
        "use_bias": bool(biased),
        "activation": activation_of(config.get("activation")),
    }
    return Description(
        "",
        tuple(sizes[axis] for axis in result[1:]),
        attributes,
        kernel=prod(sizes[axis] for axis in kernel),
        bias=prod(sizes[axis] for axis in biased) if biased else 0,
    )


def _embedding(config: Config, inputs: Sequence[Shape]) -> Description:
    rows, width = number(config, "input_dim"), number(config, "output_dim")
    return Description("", (*one(inputs), width), {"input_dim": rows, "output_dim": width}, rows * width)


def _activation(kind: LayerKind) -> Rule:
    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        threshold = {"threshold": config["threshold"]} if config.get("threshold") else {}
        return Description("", one(inputs), {"activation": ACTIVATION_LAYERS[kind.name](config), **threshold})

    return read


def _prelu(config: Config, inputs: Sequence[Shape]) -> Description:
    source, shared = one(inputs), config.get("shared_axes") or ()
    slopes = prod(n for axis, n in enumerate(source, start=1) if axis not in shared)
    return Description("", source, {"activation": "prelu"}, other=slopes)


# ------------------------------------------------------------------------------------------ normalisations


def _axes(config: Config, source: Shape) -> list[int]:
    """The normalised axes, from 0 and without the batch."""
    axis = config.get("axis", -1)
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    if not all(type(i) is int and (0 < i <= len(source) or -len(source) <= i < 0) for i in axes):
        raise UserError(f"axis is {axis!r}, the input is {source}")
    return sorted({i - 1 if i > 0 else len(source) + i for i in axes})


def _batch_norm(config: Config, inputs: Sequence[Shape]) -> Description:
    """At inference one scale and one offset a channel, of the four numbers that Keras stores."""
    source = one(inputs)
    if _axes(config, source) != [len(source) - 1]:
        raise UserError(f"it normalises along axis {config.get('axis')!r}, not along the channels")
    return Description("", source, other=2 * source[-1])


def _layer_norm(config: Config, inputs: Sequence[Shape]) -> Description:
    source = one(inputs)
    size = prod(source[axis] for axis in _axes(config, source))
    scaled = bool(config.get("scale", True) or config.get("rms_scaling"))
    centred = bool(config.get("center", True)) and not config.get("rms_scaling")
    return Description("", source, other=(scaled + centred) * size)


def _rms_norm(config: Config, inputs: Sequence[Shape]) -> Description:
    source = one(inputs)
    return Description("", source, other=prod(source[axis] for axis in _axes(config, source)))


def _group_norm(config: Config, inputs: Sequence[Shape]) -> Description:
    source = one(inputs)
    (axis, *more), groups = _axes(config, source), config.get("groups", 32)
    channels = source[axis]
    groups = channels if groups == -1 else number(config, "groups", 32)
    if more or channels % groups:
        raise UserError(f"{channels} channels do not divide into {groups} groups")
    affine = bool(config.get("scale", True)) + bool(config.get("center", True))
    return Description("", source, {"groups": groups}, other=affine * channels)


def _unit_norm(config: Config, inputs: Sequence[Shape]) -> Description:
    source = one(inputs)
    _axes(config, source)
    return Description("", source)


def _normalization(config: Config, inputs: Sequence[Shape]) -> Description:
    """A mean and a variance, or a scale and an offset, for each place along the kept axes; none: one of each."""
    source = one(inputs)
    if config.get("invert"):
        return unknown("Normalization, inverted", source)
    if isinstance(config.get("mean"), int | float):  # constants of the program, as for a rescaling
        return Description("", source)
    kept = _axes(config, source) if config.get("axis", -1) is not None else []
    return Description("", source, other=2 * prod(source[axis] for axis in kept))


def _layer_scale(config: Config, inputs: Sequence[Shape]) -> Description:
    """A factor for each channel: a layer of ConvNeXt in keras.applications."""
    return Description("", one(inputs), other=number(config, "projection_dim"))


def _rescaling(config: Config, inputs: Sequence[Shape]) -> Description:
    """One factor and one offset are constants of the program; lists of them are stored."""
    stored = [len(value) for key in ("scale", "offset") if isinstance(value := config.get(key), list | tuple)]
    return Description("", one(inputs), other=sum(stored))


RULES: dict[str, RuleOf] = {
    "activation": _activation,
    "prelu": always(_prelu),
    "dense": always(_dense),
    "einsum": always(_einsum_dense),
    "embedding": always(_embedding),
    "batch_norm": always(_batch_norm),
    "layer_norm": always(_layer_norm),
    "rms_norm": always(_rms_norm),
    "group_norm": always(_group_norm),
    "unit_norm": always(_unit_norm),
    "normalization": always(_normalization),
    "rescaling": always(_rescaling),
    "layer_scale": always(_layer_scale),
}
