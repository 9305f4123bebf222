"""int8 networks as `.tflite` files, drawn operator by operator on grids of any scale and zero point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tflite_builds import CONV, SCHEMA, Writer

POOL = {"table": "Pool2DOptions", "strideW": 2, "strideH": 2, "filterWidth": 3, "filterHeight": 2}


class Quantized(Writer):
    """Writes int8 networks of any scales and zero points, drawn as they are needed."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        super().__init__()
        self.draw = draw
        self.random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.shapes: dict[int, tuple[int, ...]] = {}

    def grid(self, index: int, scales: list[float], zeros: list[int], axis: int = 0) -> int:
        said = SCHEMA.QuantizationParametersT()
        said.scale, said.zeroPoint, said.quantizedDimension = scales, zeros, axis
        self.graph.tensors[index].quantization = said
        return index

    def start(self, *shape: int) -> int:
        index = self.input(1, *shape, kind="INT8")
        return self.on_a_grid(index, shape)

    def on_a_grid(self, index: int, shape: tuple[int, ...]) -> int:
        self.shapes[index] = shape
        scale = self.draw(st.sampled_from([0.02, 0.05, 0.1]))
        return self.grid(index, [scale * float(self.random.uniform(0.7, 1.4))], [self.draw(st.integers(-128, 127))])

    def same_grid(self, index: int, source: int, shape: tuple[int, ...]) -> int:
        self.shapes[index] = shape
        self.graph.tensors[index].quantization = self.graph.tensors[source].quantization
        return index

    def scale(self, index: int) -> float:
        return float(self.graph.tensors[index].quantization.scale[0])

    def packed(self, values: np.ndarray) -> int:
        """A constant of INT4, two in a byte."""
        halves = np.pad(values.ravel() & 15, (0, values.size % 2)).reshape(-1, 2)
        index = self.constant((halves[:, 0] | halves[:, 1] << 4).astype(np.int8))
        self.graph.tensors[index].shape, self.graph.tensors[index].type = list(values.shape), SCHEMA.TensorType.INT4
        return index

    def weights_of(
        self, *shape: int, axis: int, source: int, by_channel: bool = True, narrow: bool = True
    ) -> tuple[int, int]:
        """Weights and their bias; perhaps INT4 ones."""
        outputs = shape[axis]
        if narrow and axis == 0 and self.random.integers(3) == 0:
            weights = self.packed(self.random.integers(-7, 8, shape))
        else:
            weights = self.constant(self.random.integers(-127, 128, shape).astype(np.int8))
        scales = self.random.uniform(0.002, 0.02, outputs if by_channel else 1).tolist()
        self.grid(weights, scales, [0] * len(scales), axis)
        bias = self.constant(self.random.integers(-3000, 3000, outputs).astype(np.int32))
        self.grid(bias, [self.scale(source) * one for one in scales], [0] * len(scales))
        return weights, bias


def same_padding(size: int, stride: int) -> int:
    return -(-size // stride)


def convolution(w: Quantized, x: int) -> int:
    rows, columns, channels = w.shapes[x]
    high, wide, stride, outputs = (w.draw(st.integers(1, most)) for most in (3, 3, 2, 6))
    weights = w.weights_of(outputs, high, wide, channels, axis=0, source=x)
    shape = same_padding(rows, stride), same_padding(columns, stride), outputs
    activation = w.draw(st.sampled_from([0, 1, 3]))
    options = CONV | {"strideW": stride, "strideH": stride, "padding": 0, "fusedActivationFunction": activation}
    return w.on_a_grid(w.add("CONV_2D", (x, *weights), 1, *shape, options=options, kind="INT8"), shape)


def _depthwise(w: Quantized, x: int) -> int:
    rows, columns, channels = w.shapes[x]
    high, wide, stride, times = (w.draw(st.integers(1, most)) for most in (3, 3, 2, 2))
    apart = 1 if stride > 1 else w.draw(st.integers(1, 2))
    weights = w.weights_of(1, high, wide, channels * times, axis=3, source=x)
    shape = same_padding(rows, stride), same_padding(columns, stride), channels * times
    options = CONV | {"table": "DepthwiseConv2DOptions", "strideW": stride, "strideH": stride, "padding": 0}
    options |= {"depthMultiplier": times, "dilationWFactor": apart, "dilationHFactor": apart}
    return w.on_a_grid(w.add("DEPTHWISE_CONV_2D", (x, *weights), 1, *shape, options=options, kind="INT8"), shape)


def _transposed(w: Quantized, x: int) -> int:
    rows, columns, channels = w.shapes[x]
    high, wide, stride, outputs, same = (
        w.draw(st.integers(low, most)) for low, most in ((2, 4), (2, 4), (1, 2), (1, 4), (0, 1))
    )
    weights, bias = w.weights_of(outputs, high, wide, channels, axis=0, source=x, narrow=False)
    shape = tuple(
        size * stride if same else (size - 1) * stride + reach for size, reach in ((rows, high), (columns, wide))
    )
    size = w.constant(np.array([1, *shape, outputs], np.int32))
    options = {"table": "TransposeConvOptions", "strideW": stride, "strideH": stride, "padding": 1 - same}
    index = w.add("TRANSPOSE_CONV", (size, weights, x, bias), 1, *shape, outputs, options=options, kind="INT8")
    return w.on_a_grid(index, (*shape, outputs))


def _pair(name: str, table: str) -> Callable[[Quantized, int], int]:
    def add(w: Quantized, x: int) -> int:
        other, shape = _convolution_of_the_shape(w, x), w.shapes[x]
        activation = w.draw(st.sampled_from([0, 1]))
        options = {"table": table, "fusedActivationFunction": activation}
        return w.on_a_grid(w.add(name, (x, other), 1, *shape, options=options, kind="INT8"), shape)

    return add


def _with_a_constant(name: str, table: str) -> Callable[[Quantized, int], int]:
    def add(w: Quantized, x: int) -> int:
        shape = w.shapes[x]
        other = w.constant(w.random.integers(-128, 128, shape[-1:]).astype(np.int8))
        w.on_a_grid(other, shape[-1:])
        return w.on_a_grid(w.add(name, (x, other), 1, *shape, options={"table": table}, kind="INT8"), shape)

    return add


def _convolution_of_the_shape(w: Quantized, x: int) -> int:
    channels, shape = w.shapes[x][-1], w.shapes[x]
    weights = w.weights_of(channels, 1, 1, channels, axis=0, source=x)
    return w.on_a_grid(w.add("CONV_2D", (x, *weights), 1, *shape, options=CONV, kind="INT8"), shape)


def _concatenation(w: Quantized, x: int) -> int:
    other, (rows, columns, channels) = _convolution_of_the_shape(w, x), w.shapes[x]
    w.graph.tensors[other].quantization = w.graph.tensors[x].quantization
    shape = rows, columns, 2 * channels
    options = {"table": "ConcatenationOptions", "axis": 3}
    return w.same_grid(w.add("CONCATENATION", (x, other), 1, *shape, options=options, kind="INT8"), x, shape)


def _pool(name: str) -> Callable[[Quantized, int], int]:
    def add(w: Quantized, x: int) -> int:
        rows, columns, channels = w.shapes[x]
        shape = same_padding(rows, 2), same_padding(columns, 2), channels
        return w.same_grid(w.add(name, (x,), 1, *shape, options=POOL | {"padding": 0}, kind="INT8"), x, shape)

    return add


def _pad(w: Quantized, x: int) -> int:
    rows, columns, channels = w.shapes[x]
    pads = w.constant(np.array([[0, 0], [1, 0], [0, 2], [0, 0]], np.int32))
    shape = rows + 1, columns + 2, channels
    options = {"table": "PadOptions"}
    return w.same_grid(w.add("PAD", (x, pads), 1, *shape, options=options, kind="INT8"), x, shape)


def _split(w: Quantized, x: int) -> int:
    """Halves, and one of them twice in place of the whole."""
    shape = w.shapes[x]
    axis = next((axis for axis in w.draw(st.permutations([0, 1, 2])) if shape[axis] % 2 == 0), None)
    if axis is None:
        return x
    half = tuple(size // 2 if number == axis else size for number, size in enumerate(shape))
    parts = [w.same_grid(w.tensor((1, *half), "INT8"), x, half) for _ in range(2)]
    options = {"table": "SplitOptions", "numSplits": 2}
    w.add("SPLIT", (w.constant(np.array([axis + 1], np.int32)), x), options=options, outputs=parts)
    options = {"table": "ConcatenationOptions", "axis": 3}
    other = _convolution_of_the_shape(w, parts[0])
    w.graph.tensors[other].quantization = w.graph.tensors[x].quantization
    joined = (*half[:2], 2 * half[2])
    return w.same_grid(w.add("CONCATENATION", (parts[1], other), 1, *joined, options=options, kind="INT8"), x, joined)


def _prelu(w: Quantized, x: int) -> int:
    shape = w.shapes[x]
    slopes = w.constant(w.random.integers(-128, 128, (1, 1, shape[-1])).astype(np.int8))
    w.on_a_grid(slopes, (1, 1, shape[-1]))
    made = w.on_a_grid(w.add("PRELU", (x, slopes), 1, *shape, kind="INT8"), shape)
    scale = w.scale(x) * float(w.random.uniform(0.3, 3))  # also much finer than what it reads
    return w.grid(made, [scale], list(w.graph.tensors[made].quantization.zeroPoint))


def _crop(w: Quantized, x: int) -> int:
    rows, columns, channels = w.shapes[x]
    first = w.draw(st.integers(0, channels - 1))
    shape = rows - rows // 3, columns - 2 * (columns // 4), channels - first
    begin, end = [0, rows // 3, columns // 4, first], [1, rows, columns - columns // 4, channels]
    places = [w.constant(np.array(one, np.int32)) for one in (begin, end, [1, 1, 1, 1])]
    options = {"table": "StridedSliceOptions"}
    return w.same_grid(w.add("STRIDED_SLICE", (x, *places), 1, *shape, options=options, kind="INT8"), x, shape)


def _nearest(w: Quantized, x: int) -> int:
    rows, columns, channels = w.shapes[x]
    shape = 2 * rows, 2 * columns, channels
    size = w.constant(np.array(shape[:2], np.int32))
    options = {"table": "ResizeNearestNeighborOptions"}
    return w.same_grid(w.add("RESIZE_NEAREST_NEIGHBOR", (x, size), 1, *shape, options=options, kind="INT8"), x, shape)


def _each(name: str, table: str = "", grid: Any = None, **options: Any) -> Callable[[Quantized, int], int]:
    """A function of each number; grid: the scale and zero point that its result must have."""

    def add(w: Quantized, x: int) -> int:
        shape = w.shapes[x]
        said = {"table": table} | options if table else None
        made = w.add(name, (x,), 1, *shape, options=said, kind="INT8")
        if grid is None:
            return w.on_a_grid(made, shape)
        w.shapes[made] = shape
        return w.grid(made, [grid[0]], [grid[1]])

    return add


STEPS: dict[str, Callable[[Quantized, int], int]] = {
    "convolution": convolution,
    "depthwise": _depthwise,
    "transposed convolution": _transposed,
    "add": _pair("ADD", "AddOptions"),
    "sub": _pair("SUB", "SubOptions"),
    "mul": _pair("MUL", "MulOptions"),
    "mul by a constant": _with_a_constant("MUL", "MulOptions"),
    "add a constant": _with_a_constant("ADD", "AddOptions"),
    "concatenation": _concatenation,
    "max": _pool("MAX_POOL_2D"),
    "average": _pool("AVERAGE_POOL_2D"),
    "pad": _pad,
    "crop": _crop,
    "split": _split,
    "prelu": _prelu,
    "nearest": _nearest,
    "quantize": _each("QUANTIZE"),
    "leaky": _each("LEAKY_RELU", "LeakyReluOptions", alpha=0.3),
    "relu6": _each("RELU6"),
    "logistic": _each("LOGISTIC", grid=(1 / 256, -128)),
    "tanh": _each("TANH", grid=(1 / 128, 0)),
    "hard swish": _each("HARD_SWISH"),
}


def over_all_places(w: Quantized, x: int) -> int:
    rows, columns, channels = w.shapes[x]
    if w.draw(st.booleans()):
        options = POOL | {"filterWidth": columns, "filterHeight": rows, "padding": 1}
        made = w.add("AVERAGE_POOL_2D", (x,), 1, 1, 1, channels, options=options, kind="INT8")
        return w.same_grid(made, x, (1, 1, channels))
    axes = w.constant(np.array([1, 2], np.int32))
    made = w.add("MEAN", (x, axes), 1, channels, options={"table": "ReducerOptions"}, kind="INT8")
    return w.on_a_grid(made, (channels,))


def dense(w: Quantized, x: int) -> int:
    inputs, outputs = int(np.prod(w.shapes[x])), w.draw(st.integers(1, 6))
    weights = w.weights_of(outputs, inputs, axis=0, source=x, by_channel=False)
    options = {"table": "FullyConnectedOptions", "fusedActivationFunction": w.draw(st.sampled_from([0, 1]))}
    return w.on_a_grid(w.add("FULLY_CONNECTED", (x, *weights), 1, outputs, options=options, kind="INT8"), (outputs,))


@st.composite
def networks(draw: Callable[..., Any]) -> bytes:
    """Three operators on a small map, then a mean or not, then a dense layer or not."""
    w = Quantized(draw)
    x = w.start(draw(st.integers(3, 6)), draw(st.integers(3, 6)), draw(st.integers(1, 6)))
    for name in draw(st.lists(st.sampled_from(sorted(STEPS)), min_size=3, max_size=3)):
        x = STEPS[name](w, x)
    if draw(st.booleans()):
        x = over_all_places(w, x)
    if draw(st.booleans()):
        x = dense(w, x)
    w.graph.outputs = [x]
    return w.bytes()
