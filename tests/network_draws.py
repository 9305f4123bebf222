"""Random integer networks of all kinds of layers, as hypothesis draws them: what tests of export share."""

from __future__ import annotations

from dataclasses import fields, replace
from math import prod

import numpy as np
from hypothesis import strategies as st
from network_builds import Made

from hybridq.formats import INTEGERS
from hybridq.integer import scaling
from hybridq.integer.checks import check
from hybridq.integer.maps import Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import LOWEST_SHIFT, Add, AveragePool, IntegerNetwork, Layer, MaxPool, Shape
from hybridq.tflite.numbers import padding_like


def averaged(layer: AveragePool, before: int, after: int, places: int) -> AveragePool:
    """The mean of so many places from one fraction to another, as a converter makes it."""
    scale = np.array([2.0 ** (after - before) / places])
    out = scaling.requantization(layer.name, scale, layer.out.low, layer.out.high, LOWEST_SHIFT)
    return replace(layer, fraction=after, out=out)


def on_grids(network: IntegerNetwork, seed: int) -> IntegerNetwork:
    """The same layers with random fractions, whose sums and means have the scales between them.

    None is refused: by up to 4 bits, any mean may be finer than what it reads, and no two fractions are more than 12
    apart.
    """
    random = np.random.default_rng(seed)
    fractions, shapes = {network.input_name: network.input_fraction}, network.shapes
    layers: list[Layer] = []
    for layer in network.layers:
        before = [fractions[name] for name in layer.inputs]
        fraction = int(random.integers(1, 7))
        if isinstance(layer, WindowMean) and not _pads_of_tflite(layer, shapes[layer.inputs[0]]):
            layer = MaxPool(*(getattr(layer, one.name) for one in fields(MaxPool)))
        if isinstance(layer, MaxPool | Upsample | Pad | Reshape):
            fraction = before[0]
        elif isinstance(layer, WindowMean):
            fraction = before[0] if len(layer.places) > 1 else int(np.clip(before[0] + random.integers(-2, 5), -6, 6))
            scale = 2.0 ** (fraction - before[0]) / np.array(layer.places)
            layer = replace(layer, out=scaling.requantization(layer.name, scale, lowest=LOWEST_SHIFT))
        elif isinstance(layer, Multiply):
            scale, shift = scaling.product_scale(layer.name, (before[0], before[1]), fraction)
            layer = replace(layer, scale=scale, shift=shift)
        elif isinstance(layer, Concatenate):
            layer = replace(layer, shifts=tuple(one - fraction for one in before))
        elif isinstance(layer, PReLU):
            layer = replace(layer, shifts=(before[0] - fraction, before[0] + 6 - fraction))
        elif isinstance(layer, AveragePool):
            fraction = int(np.clip(before[0] + random.integers(-2, 5), -6, 6))
            layer = averaged(layer, before[0], fraction, prod(shapes[layer.inputs[0]][:-1]))
        elif isinstance(layer, Add):
            scales, shift = scaling.sum_scales(layer.name, tuple(before), fraction)
            signs = [1 if scale > 0 else -1 for scale in layer.scales]
            scales = tuple(scale * sign for scale, sign in zip(scales, signs, strict=True))
            layer = replace(layer, scales=scales, shift=shift)
        layers.append(replace(layer, fraction=fraction))
        fractions[layer.name] = fraction
    found = replace(network, layers=tuple(layers))
    check(found)
    return found


def _pads_of_tflite(layer: WindowMean, source: Shape) -> bool:
    return padding_like((1, *source), layer.shape, layer.window, layer.strides, layer.pads) is not None


@st.composite
def networks(draw: st.DrawFn) -> IntegerNetwork:
    """Up to ten layers of all kinds; many of one shape, so that there are sums of what lies far apart."""
    shape = (draw(st.integers(1, 20)), draw(st.integers(1, 12)), draw(st.integers(1, 5)))
    made = Made(draw(st.sampled_from([shape, shape, shape, (shape[0],)])), draw(st.integers(0, 2**32 - 1)))
    small = st.integers(1, 3)
    for _ in range(draw(st.integers(0, 10))):
        names = list(made.shapes)
        source = draw(st.sampled_from([names[-1], names[-1], draw(st.sampled_from(names))]))
        alike = [name for name in names if made.shapes[name] == made.shapes[source]]
        kinds = ["dense", "add", "add", "join", "multiply", "reshape", "prelu"]
        if len(made.shapes[source]) == 3:
            kinds = ["same", "same", "conv", "conv", "depthwise", "pool", "mean", "average", "up", "pad", *kinds]
        kind, width, behind = draw(st.sampled_from(kinds)), draw(st.sampled_from(INTEGERS)), draw(st.integers(0, 7))
        rows, columns = made.shapes[source][:2] if len(made.shapes[source]) == 3 else (1, 1)
        if kind == "add":
            more = draw(st.lists(st.sampled_from(alike), max_size=2))
            made.add(source, draw(st.sampled_from(alike)), *more, sign=draw(st.sampled_from([1, 1, -1])))
        elif kind == "join":
            joined = [name for name in names if made.shapes[name][:-1] == made.shapes[source][:-1]]
            made.concatenate(source, *draw(st.lists(st.sampled_from(joined), min_size=1, max_size=3)))
        elif kind == "multiply":
            made.multiply(source, draw(st.sampled_from([name for name in names if _fits(made, source, name)])))
        elif kind == "reshape":
            made.reshape(source, _reshaped(draw, made.shapes[source]))
        elif kind == "prelu":
            made.prelu(source)
        elif kind == "up" and rows * columns < 200:
            made.upsample(source, (draw(small), draw(small)), draw(st.booleans()))
        elif kind == "pad":
            made.pad(
                source,
                tuple(
                    (draw(st.integers(-((n - 1) // 2), 2)), draw(st.integers(-((n - 1) // 2), 2)))
                    for n in (rows, columns)
                ),
            )
        elif kind == "same":
            window = draw(st.sampled_from([(3, 3), (1, 3), (5, 1), (1, 1)]))
            pads = tuple((k // 2, k // 2) for k in window)
            made.conv(source, made.shapes[source][-1], window, (1, 1), pads, width, behind=behind)
        elif kind in ("conv", "depthwise"):
            (above, below), (left, right) = ((draw(st.integers(0, 4)), draw(st.integers(0, 4))) for _ in range(2))
            window = (
                draw(st.integers(1, min(5, rows + above + below))),
                draw(st.integers(1, min(5, columns + left + right))),
            )
            strides, pads = (draw(small), draw(small)), ((above, below), (left, right))
            room = rows + above + below, columns + left + right
            fits = (3 * (k - 1) < n for k, n in zip(window, room, strict=True))
            apart = tuple(draw(st.sampled_from([1, 1, 2, 3])) if one else 1 for one in fits)
            channels, times = draw(st.integers(1, 9)), draw(st.sampled_from([1, 1, 2]))
            made.conv(source, channels, window, strides, pads, width, kind == "depthwise", behind, apart, times)
        elif kind in ("pool", "mean"):
            window = draw(st.integers(1, min(3, rows))), draw(st.integers(1, min(3, columns)))
            padded = draw(st.booleans())
            pads = tuple(
                (draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) if padded else (0, 0) for k in window
            )
            (made.mean if kind == "mean" else made.max_pool)(source, window, (draw(small), draw(small)), pads)
        elif kind == "average":
            made.average(source)
        elif kind == "dense":
            made.dense(source, draw(st.integers(1, 20)), width, behind=behind)
    return made.network(_ended(draw, made))


def _ended(draw: st.DrawFn, made: Made) -> tuple[str, ...]:
    """The outputs of a network: logits, most often; else maps of int16 or int8, or several of all these."""
    names, ends = list(made.shapes), []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        source, width = draw(st.sampled_from([names[-1], *names])), draw(st.sampled_from(INTEGERS))
        is_map = len(made.shapes[source]) == 3
        kind = draw(st.sampled_from(["dense", "dense", "as it is", *(["map", "depthwise"] if is_map else [])]))
        if kind == "as it is" and source != "input":
            ends.append(source)
        elif kind == "map":
            ends.append(made.conv(source, draw(st.integers(1, 5)), (1, 1), width=width, wide=True))
        elif kind == "depthwise":
            ends.append(made.conv(source, 0, (1, 1), depthwise=True, wide=True))
        else:
            ends.append(made.dense(source, draw(st.integers(1, 12)), width, logits=True))
    return tuple(dict.fromkeys(ends))


def _fits(made: Made, a: str, b: str) -> bool:
    """Whether a product of them has the shape of the first."""
    first, second = ((1, 1, *made.shapes[name])[-3:] for name in (a, b))
    return all(n in (1, m) for m, n in zip(first, second, strict=True))


def _reshaped(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Another shape of so many numbers."""
    count = prod(shape)
    rows = draw(st.sampled_from([n for n in range(1, 9) if count % n == 0]))
    channels = draw(st.sampled_from([n for n in range(1, 9) if count // rows % n == 0]))
    return draw(st.sampled_from([(count,), (rows, count // rows // channels, channels)]))
