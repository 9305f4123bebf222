"""Convolutions and pools, which move a window over an image or sequence; and what changes its borders or size."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, prod

from hybridq.errors import UserError
from hybridq.graph.keras.layers.description import (
    Config,
    Description,
    Rule,
    RuleOf,
    always,
    number,
    numbers,
    one,
    unknown,
)
from hybridq.graph.keras.layers.quantizers import activation_of
from hybridq.graph.kinds import LayerKind
from hybridq.graph.operators import Shape

Pads = tuple[tuple[int, int], ...]  # zeros (before, after) on each axis


def window(config: Config, source: Shape, kernel: Shape, strides: Shape, dilation: Shape) -> tuple[Shape, Pads]:
    """Output rows and columns of a window moved over the input; the zeros added (before, after) in each."""
    padding = config.get("padding", "valid")
    size, pads = [], []
    for n, k, stride, rate in zip(source[:-1], kernel, strides, dilation, strict=True):
        reach = (k - 1) * rate + 1
        if padding == "valid":
            size.append((n - reach) // stride + 1)
            pads.append((0, 0))
        elif padding in ("same", "causal"):
            size.append(-(-n // stride))
            total = max((size[-1] - 1) * stride + reach - n, 0)
            pads.append((total, 0) if padding == "causal" else (total // 2, total - total // 2))
        else:
            raise UserError(f"padding is {padding!r}")
        if size[-1] < 1:
            raise UserError(f"its window of {reach} does not fit the input of {n}")
    return tuple(size), tuple(pads)


def _convolution(kind: LayerKind) -> Rule:
    """Plain ones, depthwise ones and separable ones."""
    axes, form = kind.axes, kind.family

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source = one(inputs, axes + 1)
        kernel = numbers(config, "kernel_size", axes)
        strides, dilation = numbers(config, "strides", axes, 1), numbers(config, "dilation_rate", axes, 1)
        size, pads = window(config, source, kernel, strides, dilation)
        multiplier = 1 if form == "convolution" else number(config, "depth_multiplier", 1)
        groups = number(config, "groups", 1) if form == "convolution" else source[-1]
        filters = source[-1] * multiplier if form == "depthwise" else number(config, "filters")
        if source[-1] % groups or filters % (groups if form == "convolution" else 1):
            raise UserError(f"{source[-1]} channels and {filters} filters do not divide into {groups} groups")
        if form == "convolution":
            weights = prod(kernel) * (source[-1] // groups) * filters
        else:
            weights = prod(kernel) * source[-1] * multiplier
            weights += source[-1] * multiplier * filters if form == "separable" else 0
        bias = bool(config.get("use_bias", True))
        attributes = {
            "kernel": kernel,
            "strides": strides,
            "dilation": dilation,
            "pads": pads,
            "groups": groups,
            "padding": config.get("padding", "valid"),
            "depth_multiplier": multiplier,
            "filters": filters,
            "use_bias": bias,
            "activation": activation_of(config.get("activation")),
        }
        return Description("", (*size, filters), attributes, weights, filters if bias else 0)

    return read


def _transposed(kind: LayerKind) -> Rule:
    """Conv1DTranspose, 2D, 3D; the output sizes are those of Keras, which differ for an `output_padding`."""
    axes = kind.axes

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source = one(inputs, axes + 1)
        kernel, filters = numbers(config, "kernel_size", axes), number(config, "filters")
        strides, dilation = numbers(config, "strides", axes, 1), numbers(config, "dilation_rate", axes, 1)
        extra = None if config.get("output_padding") is None else numbers(config, "output_padding", axes, least=0)
        padding, size = config.get("padding", "valid"), []
        if padding not in ("valid", "same"):
            raise UserError(f"padding is {padding!r}")
        for i, (n, k, stride, rate) in enumerate(zip(source[:-1], kernel, strides, dilation, strict=True)):
            reach = (k - 1) * rate + 1
            if padding == "valid":
                size.append((n - 1) * stride + reach + (extra[i] if extra else max(stride - reach, 0)))
            else:
                size.append((n - 1) * stride + reach % 2 + extra[i] if extra else n * stride)
        bias = bool(config.get("use_bias", True))
        attributes = {
            "kernel": kernel,
            "strides": strides,
            "dilation": dilation,
            "padding": padding,
            "filters": filters,
            "use_bias": bias,
            "activation": activation_of(config.get("activation")),
        }
        weights = prod(kernel) * source[-1] * filters
        return Description("", (*size, filters), attributes, weights, filters if bias else 0)

    return read


def _pool(kind: LayerKind) -> Rule:
    axes = kind.axes

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source = one(inputs, axes + 1)
        kernel = numbers(config, "pool_size", axes, 2)
        strides = numbers(config, "strides", axes) if config.get("strides") else kernel
        size, pads = window(config, source, kernel, strides, (1,) * axes)
        return Description("", (*size, source[-1]), {"kernel": kernel, "strides": strides, "pads": pads})

    return read


def _global_pool(kind: LayerKind) -> Rule:
    axes = kind.axes

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source = one(inputs, axes + 1)
        kept = (1,) * axes if config.get("keepdims") else ()
        return Description("", (*kept, source[-1]), {"kernel": source[:-1]})

    return read


def _adaptive_pool(kind: LayerKind) -> Rule:
    """Place i of m takes from i*n/m, rounded down, to (i+1)*n/m, rounded up: windows overlap where that is no number.

    So the windows of an axis have n + m - gcd(n, m) places together.
    """
    axes = kind.axes

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source, size = one(inputs, axes + 1), numbers(config, "output_size", axes)
        taps = (n + m - gcd(n, m) for n, m in zip(source, size, strict=False))
        return Description("", (*size, source[-1]), {"taps": prod(taps) * source[-1]})

    return read


def _sides(config: Config, key: str, axes: int) -> Pads:
    """How much is added or cut (before, after) on each axis: one number, one an axis, or pairs."""
    value = config.get(key, 1)
    sides = list(value) if isinstance(value, list | tuple) else [value] * axes
    if axes == 1 and len(sides) == 2:
        sides = [sides]
    if len(sides) != axes:
        raise UserError(f"{key} is {value!r}, not {axes} numbers or pairs")
    pairs = [numbers({key: side}, key, 2, least=0) for side in sides]
    return tuple((before, after) for before, after in pairs)


def _zero_padding(kind: LayerKind) -> Rule:
    axes = kind.axes

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source, pads = one(inputs, axes + 1), _sides(config, "padding", axes)
        size = (n + sum(pair) for n, pair in zip(source[:-1], pads, strict=True))
        return Description("", (*size, source[-1]), {"pads": pads})

    return read


def _cropping(kind: LayerKind) -> Rule:
    axes = kind.axes

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source, cut = one(inputs, axes + 1), _sides(config, "cropping", axes)
        size = (n - sum(pair) for n, pair in zip(source[:-1], cut, strict=True))
        return Description("", (*size, source[-1]), {"cropping": cut})

    return read


def _up_sampling(kind: LayerKind) -> Rule:
    axes = kind.axes

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        source, factors = one(inputs, axes + 1), numbers(config, "size", axes, 2)
        interpolation = config.get("interpolation", "nearest")
        shape = (*(n * factor for n, factor in zip(source[:-1], factors, strict=True)), source[-1])
        if interpolation not in ("nearest", "bilinear"):
            return unknown(f"UpSampling{axes}D, {interpolation}", shape)
        return Description("", shape, {"size": factors, "interpolation": interpolation})

    return read


def _center_crop(config: Config, inputs: Sequence[Shape]) -> Description:
    source, size = one(inputs, 3), (number(config, "height"), number(config, "width"))
    shape = (*size, source[-1])
    if any(n > given for n, given in zip(size, source, strict=False)):
        return unknown("CenterCrop that enlarges", shape)
    return Description("", shape)


def _resizing(config: Config, inputs: Sequence[Shape]) -> Description:
    shape = (number(config, "height"), number(config, "width"), one(inputs, 3)[-1])
    interpolation = config.get("interpolation", "bilinear")
    odd = [key for key in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias") if config.get(key)]
    if interpolation not in ("nearest", "bilinear") or odd:
        return unknown(f"Resizing, {', '.join([str(interpolation), *odd])}", shape)
    return Description("", shape, {"interpolation": interpolation})


RULES: dict[str, RuleOf] = {
    "convolution": _convolution,
    "depthwise": _convolution,
    "separable": _convolution,
    "transposed": _transposed,
    "pool": _pool,
    "global_pool": _global_pool,
    "adaptive_pool": _adaptive_pool,
    "padding": _zero_padding,
    "cropping": _cropping,
    "up_sampling": _up_sampling,
    "center_crop": always(_center_crop),
    "resizing": always(_resizing),
}
