"""Integer networks to try: what tests of export share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybridq.formats import INTEGERS, Format
from hybridq.integer import scaling
from hybridq.integer.checks import check
from hybridq.integer.description import Description
from hybridq.integer.map_arithmetic import places_inside
from hybridq.integer.maps import Concatenate, Multiply, Pad, PReLU, Reshape, Upsample, WindowMean
from hybridq.integer.network import (
    INT8,
    INT16,
    NO_PADS,
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
    Pads,
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

    def network(self, outputs: tuple[str, ...] = (), **about: object) -> IntegerNetwork:
        found = IntegerNetwork("input", self.shape, 4, tuple(self.layers), Description.from_plain(about), outputs)
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
        dilation: tuple[int, int] = (1, 1),
        multiplier: int = 1,
        wide: bool = False,
    ) -> str:
        *size, inputs = self.shapes[source]
        outputs = inputs * multiplier if depthwise else outputs
        places = [
            (n + sum(pad) - (k - 1) * apart - 1) // stride + 1
            for n, pad, k, stride, apart in zip(size, pads, window, strides, dilation, strict=True)
        ]
        weights = self._weights((*window, outputs) if depthwise else (*window, inputs, outputs), width)
        fields = {"strides": strides, "pads": pads, **self._finish(weights, width, 0 if wide else behind, wide)}
        fields |= {"dilation": dilation} | ({"depth_multiplier": multiplier} if depthwise else {})
        return self._add(
            (Depthwise if depthwise else Convolution)(self._name(), (source,), (*places, outputs), 0, **fields)
        )

    def dense(
        self, source: str, outputs: int, width: Format = Format.INT8, logits: bool = False, behind: int = 0
    ) -> str:
        weights = self._weights((int(np.prod(self.shapes[source])), outputs), width)
        fields = self._finish(weights, width, 0 if logits else behind, logits)
        return self._add(Dense(self._name(), (source,), (outputs,), 0, **fields))

    def max_pool(
        self,
        source: str,
        window: tuple[int, int] = (2, 2),
        strides: tuple[int, int] = (2, 2),
        pads: Pads = NO_PADS,
    ) -> str:
        shape = self._pooled(source, window, strides, pads)
        return self._add(MaxPool(self._name(), (source,), shape, 0, window, strides, pads))

    def mean(self, source: str, window: tuple[int, int], strides: tuple[int, int], pads: Pads) -> str:
        shape = self._pooled(source, window, strides, pads)
        pool = WindowMean(self._name(), (source,), shape, 0, window, strides, pads)
        places = tuple(int(n) for n in np.unique(places_inside(pool, self.shapes[source])))
        return self._add(replace(pool, places=places, out=_scaling(2.0 / np.sqrt(np.array(places)))))

    def _pooled(self, source: str, window: tuple[int, int], strides: tuple[int, int], pads: Pads) -> Shape:
        *size, channels = self.shapes[source]
        moved = zip(size, pads, window, strides, strict=True)
        return (*((n + sum(pad) - k) // stride + 1 for n, pad, k, stride in moved), channels)

    def average(self, source: str) -> str:
        shape = self.shapes[source]
        scale = 2.0 / np.sqrt(np.prod(shape[:-1]))
        channels = shape[-1:] if self.random.integers(2) else (1, 1, *shape[-1:])
        return self._add(AveragePool(self._name(), (source,), channels, 0, _scaling(np.array([scale]))))

    def add(self, *sources: str, sign: int = 1) -> str:
        """Their sum, or with a sign of -1 the rest less the last."""
        scales = [int(scale) for scale in self.random.integers(1, 200, len(sources))]
        scales[-1] *= sign
        low = int(self.random.choice([-128, 0]))
        shape = self.shapes[sources[0]]
        return self._add(Add(self._name(), sources, shape, 0, tuple(scales), int(self.random.integers(0, 9)), low, 127))

    def multiply(self, a: str, b: str) -> str:
        shift = int(self.random.integers(4, 9))
        return self._add(
            Multiply(self._name(), (a, b), self.shapes[a], 0, 1, shift, int(self.random.choice([-128, 0])))
        )

    def concatenate(self, *sources: str) -> str:
        channels = sum(self.shapes[name][-1] for name in sources)
        shifts = tuple(map(int, self.random.integers(-2, 3, len(sources))))
        return self._add(Concatenate(self._name(), sources, (*self.shapes[sources[0]][:-1], channels), 0, shifts))

    def upsample(self, source: str, factors: tuple[int, int], zeros: bool) -> str:
        (rows, columns, channels), (down, right) = self.shapes[source], factors
        return self._add(Upsample(self._name(), (source,), (rows * down, columns * right, channels), 0, factors, zeros))

    def pad(self, source: str, pads: Pads) -> str:
        *size, channels = self.shapes[source]
        made = (n + sum(pad) for n, pad in zip(size, pads, strict=True))
        return self._add(Pad(self._name(), (source,), (*made, channels), 0, pads))

    def reshape(self, source: str, shape: Shape) -> str:
        return self._add(Reshape(self._name(), (source,), shape, 0))

    def prelu(self, source: str) -> str:
        shape = self.shapes[source]
        slopes, shifts = self.random.integers(-128, 128, shape[-1]), tuple(map(int, self.random.integers(-1, 2, 2)))
        return self._add(PReLU(self._name(), (source,), shape, 0, slopes, (shifts[0], shifts[1] + 7)))

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

    def _finish(self, weights: np.ndarray, width: Format, behind: int, wide: bool) -> dict[str, object]:
        """`behind`: bit 0 for a table, bit 1 for a batch norm, bit 2 for a ReLU6; wide: int16 that leave."""
        channels = weights.shape[-1]
        spread = 74 * np.sqrt((weights.reshape(-1, channels) ** 2).sum(0)) + 1
        found: dict[str, object] = {"weights": weights, "width": width}
        found["bias"] = (self.random.standard_normal(channels) * spread).astype(np.int64)
        found["out"] = _scaling(60 / spread, *(RELU6 if behind & 4 else INT8))
        if wide:
            out = found["out"]
            found["out"] = Requantization(out.multiplier, np.maximum(out.shift - 5, 0), *INT16)
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
