"""Integer networks to try: what tests of export share."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from hypothesis import strategies as st

from hybridq.formats import INTEGERS, Format
from hybridq.integer import scaling
from hybridq.integer.checks import check
from hybridq.integer.description import Description
from hybridq.integer.network import (
    INT8,
    INT16,
    LOWEST_SHIFT,
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
    Requantization,
    Shape,
)
from hybridq.models.legendre import reach, step

RELU6 = (0, 6 * 2**4)


def some_inputs(network: IntegerNetwork, clips: int = 16, seed: int = 0) -> np.ndarray:
    """Random ones, int8 (clips, *shape); before them silence, both extremes, and the two mixed."""
    random, shape = np.random.default_rng(seed), network.input_shape
    found = random.integers(-128, 128, (clips, *shape))
    found[:4] = [np.zeros(shape), np.full(shape, -128), np.full(shape, 127), random.choice([-128, 127], shape)]
    return found.astype(np.int8)


class Made:
    """A network in the making, of random weights whose outputs fill the int8 range."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self.random = np.random.default_rng(seed)
        self.layers: list[Layer] = []
        self.shapes: dict[str, Shape] = {"input": shape}

    def network(self, **about: object) -> IntegerNetwork:
        found = IntegerNetwork("input", self.shape, 4, tuple(self.layers), Description.from_plain(about))
        check(found)
        return found

    def conv(
        self,
        source: str,
        outputs: int,
        window: tuple[int, int] = (3, 3),
        strides: tuple[int, int] = (1, 1),
        pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
        width: Format = Format.INT8,
        depthwise: bool = False,
        behind: int = 0,
    ) -> str:
        *size, inputs = self.shapes[source]
        outputs = inputs if depthwise else outputs
        places = [
            (n + sum(pad) - k) // stride + 1 for n, pad, k, stride in zip(size, pads, window, strides, strict=True)
        ]
        weights = self._weights((*window, inputs) if depthwise else (*window, inputs, outputs), width)
        fields = {"strides": strides, "pads": pads, **self._finish(weights, width, behind)}
        return self._add(
            (Depthwise if depthwise else Convolution)(self._name(), (source,), (*places, outputs), 0, **fields)
        )

    def dense(
        self, source: str, outputs: int, width: Format = Format.INT8, logits: bool = False, behind: int = 0
    ) -> str:
        weights = self._weights((int(np.prod(self.shapes[source])), outputs), width)
        fields = self._finish(weights, width, 0 if logits else behind)
        if logits:
            out = fields["out"]
            fields["out"] = Requantization(out.multiplier, np.maximum(out.shift - 5, 0), *INT16)
        return self._add(Dense(self._name(), (source,), (outputs,), 0, **fields))

    def max_pool(self, source: str, window: tuple[int, int] = (2, 2), strides: tuple[int, int] = (2, 2)) -> str:
        *size, channels = self.shapes[source]
        places = [(n - k) // stride + 1 for n, k, stride in zip(size, window, strides, strict=True)]
        return self._add(MaxPool(self._name(), (source,), (*places, channels), 0, window, strides))

    def average(self, source: str) -> str:
        shape = self.shapes[source]
        scale = 2.0 / np.sqrt(np.prod(shape[:-1]))
        channels = shape[-1:] if self.random.integers(2) else (1, 1, *shape[-1:])
        return self._add(AveragePool(self._name(), (source,), channels, 0, _scaling(np.array([scale]))))

    def add(self, a: str, b: str) -> str:
        scales = tuple(map(int, self.random.integers(1, 200, 2)))
        low = int(self.random.choice([-128, 0]))
        return self._add(
            Add(self._name(), (a, b), self.shapes[a], 0, scales, int(self.random.integers(0, 9)), low, 127)
        )

    def memory(self, source: str, order: int, window: float, last: bool = False) -> str:
        """With the matrix of a Legendre memory; `last`: only the states of the last frame leave it."""
        once, shape = step(order, window), self.shapes[source]
        states = shape[-1] * order
        made = (states,) if last else (*shape[:-1], states)
        finer = scaling.memory_shifts("", reach(order, window), 0, 0)[0]
        coarser = int(self.random.integers(2, finer + 1))
        return self._add(Memory(self._name(), (source,), made, 0, once.matrix, once.shift, finer, coarser))

    def _name(self) -> str:
        return f"{self.random.choice(['conv2d', 'a/b', 'für 3*/', 'int'])}_{len(self.layers)}"

    def _add(self, layer: Layer) -> str:
        self.layers.append(layer)
        self.shapes[layer.name] = layer.shape
        return layer.name

    def _weights(self, shape: Shape, width: Format) -> np.ndarray:
        return self.random.choice(list(width.row.integers), shape)

    def _finish(self, weights: np.ndarray, width: Format, behind: int) -> dict[str, object]:
        """`behind`: bit 0 for a table, bit 1 for a batch norm, bit 2 for a ReLU6."""
        channels = weights.shape[-1]
        spread = 74 * np.sqrt((weights.reshape(-1, channels) ** 2).sum(0)) + 1
        found: dict[str, object] = {"weights": weights, "width": width}
        found["bias"] = (self.random.standard_normal(channels) * spread).astype(np.int64)
        found["out"] = _scaling(60 / spread, *(RELU6 if behind & 4 else INT8))
        if behind & 1:
            found["table"] = self.random.integers(-128, 128, 256)
        if behind & 2:
            bias, by = self.random.integers(-10000, 10000, channels), self.random.integers(1, 300, channels)
            found["affine"] = Affine(bias, by * self.random.choice([-1, 1], channels), 15)
        return found


def _scaling(scale: np.ndarray, low: int = INT8[0], high: int = INT8[1]) -> Requantization:
    """Multipliers and shifts for factors; those of 1/2 and more become a little less than 1/2."""
    mantissa, exponent = np.frexp(np.minimum(scale, 0.4999))  # scale = m * 2**31 / 2**(32 + s) with m in [1/2, 1)
    return Requantization(
        (mantissa * 2**31).astype(np.int64), np.clip(-1 - exponent, 0, 31).astype(np.int64), low, high
    )


def reference(
    first: Format = Format.INT8, last: Format = Format.INT4, dense: Format = Format.BINARY, **about: object
) -> IntegerNetwork:
    """The shape of the reference network: the widths of its first four and last two convolutions, and dense layers."""
    made = Made((38, 55, 1), 0)
    x = made.conv("input", 16, width=first, behind=3)
    x = made.max_pool(made.conv(x, 16, width=first, behind=3))
    x = made.conv(x, 32, width=first, behind=3)
    x = made.max_pool(made.conv(x, 32, width=first, behind=3))
    x = made.conv(x, 64, width=last, behind=3)
    x = made.conv(x, 64, width=last, behind=3)
    x = made.dense(x, 64, dense, behind=1)
    x = made.dense(x, 64, dense, behind=3)
    made.dense(x, 10, logits=True)
    return made.network(**about)


def everything() -> IntegerNetwork:
    """Every kind of layer in every width that it has, with strides, pads, sums, and all that may stand behind one."""
    made = Made((18, 13, 3), 4)  # a seed with which the answers are many
    x = "input"
    for number, width in enumerate(INTEGERS):
        before = made.conv(x, 6 + number, (3, 2), (1, 1), ((1, 1), (0, 1)), width, behind=number)
        behind = made.conv(before, 6 + number, (3, 3), (1, 1), ((1, 1), (1, 1)), width, behind=7 - number)
        x = made.add(behind, before)
    x = made.conv(x, 8, (5, 2), (2, 3), ((4, 0), (2, 2)), depthwise=True, behind=3)
    x = made.max_pool(made.conv(x, 12, (1, 1), width=Format.INT4), (2, 3), (1, 2))
    flat, mean = made.dense(x, 9, behind=3), made.average(x)
    for width in INTEGERS:
        flat, mean = made.dense(flat, 9, width, behind=2), made.dense(mean, 9, width, behind=1)
    made.dense(made.add(flat, mean), 5, Format.TERNARY, logits=True)
    return made.network()


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
        if isinstance(layer, MaxPool):
            fraction = before[0]
        elif isinstance(layer, AveragePool):
            fraction = int(np.clip(before[0] + random.integers(-2, 5), -6, 6))
            layer = averaged(layer, before[0], fraction, prod(shapes[layer.inputs[0]][:-1]))
        elif isinstance(layer, Add):
            scales, shift = scaling.sum_scales(layer.name, (before[0], before[1]), fraction)
            layer = replace(layer, scales=scales, shift=shift)
        layers.append(replace(layer, fraction=fraction))
        fractions[layer.name] = fraction
    found = replace(network, layers=tuple(layers))
    check(found)
    return found


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
        kinds = ["dense", "add", "add"]
        if len(made.shapes[source]) == 3:
            kinds = ["same", "same", "conv", "conv", "depthwise", "pool", "average", *kinds]
        kind, width, behind = draw(st.sampled_from(kinds)), draw(st.sampled_from(INTEGERS)), draw(st.integers(0, 7))
        rows, columns = made.shapes[source][:2] if len(made.shapes[source]) == 3 else (1, 1)
        if kind == "add":
            made.add(source, draw(st.sampled_from(alike)))
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
            made.conv(source, draw(st.integers(1, 9)), window, strides, pads, width, kind == "depthwise", behind)
        elif kind == "pool":
            window = draw(st.integers(1, min(3, rows))), draw(st.integers(1, min(3, columns)))
            made.max_pool(source, window, (draw(small), draw(small)))
        elif kind == "average":
            made.average(source)
        else:
            made.dense(source, draw(st.integers(1, 20)), width, behind=behind)
    made.dense(list(made.shapes)[-1], draw(st.integers(1, 12)), draw(st.sampled_from(INTEGERS)), logits=True)
    return made.network()
