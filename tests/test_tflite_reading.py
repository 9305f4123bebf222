"""An int8 `.tflite` file as an integer network: every tensor is what TensorFlow Lite's reference kernels make it."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_runs import expected, machine, options_of
from tflite_builds import CONV, SCHEMA, Writer

from hybridq.errors import UserError
from hybridq.graph.tflite.file import read_network
from hybridq.integer.arithmetic import every_tensor
from hybridq.integer.artefact import load_network, save_network
from hybridq.integer.network import IntegerNetwork
from hybridq.tflite.reading import read_tflite

pytest.importorskip("ai_edge_litert", reason="needs pip install hybridq[deploy]")
SHARED = Path(__file__).parents[2] / "shared" / "facts"
MODELS = SHARED / "mlperf" / "models"
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="needs the models of MLPerf Tiny in ../shared/facts")
# Grids so far apart that the factor between them is 1 or more: no kernel of ours has it.
REFUSED = re.compile("finer than|a shift beyond|the shift -|computes nothing of its input")
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

    def weights_of(self, *shape: int, axis: int, source: int, by_channel: bool = True) -> tuple[int, int]:
        """Weights and their bias."""
        outputs = shape[axis]
        weights = self.constant(self.random.integers(-127, 128, shape).astype(np.int8))
        scales = self.random.uniform(0.002, 0.02, outputs if by_channel else 1).tolist()
        self.grid(weights, scales, [0] * len(scales), axis)
        bias = self.constant(self.random.integers(-3000, 3000, outputs).astype(np.int32))
        self.grid(bias, [self.scale(source) * one for one in scales], [0] * len(scales))
        return weights, bias


def same_padding(size: int, stride: int) -> int:
    return -(-size // stride)


def _convolution(w: Quantized, x: int) -> int:
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


def _crop(w: Quantized, x: int) -> int:
    rows, columns, channels = w.shapes[x]
    shape = rows - rows // 3, columns - 2 * (columns // 4), channels
    begin, end = [0, rows // 3, columns // 4, 0], [1, rows, columns - columns // 4, channels]
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
    "convolution": _convolution,
    "depthwise": _depthwise,
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
    "nearest": _nearest,
    "quantize": _each("QUANTIZE"),
    "leaky": _each("LEAKY_RELU", "LeakyReluOptions", alpha=0.3),
    "relu6": _each("RELU6"),
    "logistic": _each("LOGISTIC", grid=(1 / 256, -128)),
    "tanh": _each("TANH", grid=(1 / 128, 0)),
    "hard swish": _each("HARD_SWISH"),
}


def _global(w: Quantized, x: int) -> int:
    rows, columns, channels = w.shapes[x]
    if w.draw(st.booleans()):
        options = POOL | {"filterWidth": columns, "filterHeight": rows, "padding": 1}
        made = w.add("AVERAGE_POOL_2D", (x,), 1, 1, 1, channels, options=options, kind="INT8")
        return w.same_grid(made, x, (1, 1, channels))
    axes = w.constant(np.array([1, 2], np.int32))
    made = w.add("MEAN", (x, axes), 1, channels, options={"table": "ReducerOptions"}, kind="INT8")
    return w.on_a_grid(made, (channels,))


def _dense(w: Quantized, x: int) -> int:
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
        x = _global(w, x)
    if draw(st.booleans()):
        x = _dense(w, x)
    w.graph.outputs = [x]
    return w.bytes()


def reference(content: bytes, inputs: np.ndarray, tensors: dict[str, int]) -> dict[str, np.ndarray]:
    """What LiteRT's reference kernels make of inputs: of each layer of that name the tensor of that number."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
            num_threads=1,
        )
    made.allocate_tensors()
    (source,) = made.get_input_details()
    seen: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
    for one in inputs:
        raw = one.reshape(source["shape"])
        unsigned = source["dtype"] == np.uint8
        made.set_tensor(source["index"], (raw.astype(int) + 128).astype(np.uint8) if unsigned else raw)
        made.invoke()
        for name, index in tensors.items():
            seen[name].append(made.get_tensor(index).reshape(-1).astype(np.int64))
    return {name: np.stack(every) for name, every in seen.items()}


def compared(path: Path, count: int) -> IntegerNetwork:
    """The network of a file, each of whose layers makes what the reference kernels make."""
    network = read_tflite(path)
    inputs = np.random.default_rng(0).integers(-128, 128, (count, *network.input_shape)).astype(np.int8)
    tensors = {node.label: node.outputs[0] for node in read_network(path).nodes}
    mine = every_tensor(network, inputs)
    tensors = {name: index for name, index in tensors.items() if name in mine}
    for name, wanted in reference(path.read_bytes(), inputs, tensors).items():
        np.testing.assert_array_equal(mine[name].reshape(count, -1), wanted, err_msg=name)
    assert len(tensors) >= len(network.layers) - sum(" as " in layer.name for layer in network.layers)
    return network


@settings(max_examples=60)
@given(content=networks())
def test_drawn_networks_compute_what_the_reference_kernels_do(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "net.tflite").write_bytes(content)
    try:
        read_tflite(folder / "net.tflite")
    except UserError as error:
        refused = str(error)
    else:
        network = compared(folder / "net.tflite", 4)
        digest = save_network(network, folder / "net.hqn")
        assert save_network(load_network(folder / "net.hqn"), folder / "again.hqn") == digest
        refused = ""
    assert not refused or REFUSED.search(refused), refused


@settings(max_examples=40)
@given(content=networks(), places=st.lists(st.integers(0, 2**20), min_size=1, max_size=8), value=st.integers(0, 255))
def test_a_mutated_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, places: list[int], value: int
) -> None:
    mutated = bytearray(content)
    for place in places:
        mutated[place % len(content)] = value
    path = tmp_path_factory.mktemp("mutated") / "net.tflite"
    path.write_bytes(mutated)
    with contextlib.suppress(UserError):
        read_tflite(path)


@pytest.mark.parametrize("on", ["here", "zig", "zig portable", "gcc"])
@settings(max_examples=1)
@given(data=st.data())
def test_their_c_computes_the_same(tmp_path_factory: pytest.TempPathFactory, on: str, data: st.DataObject) -> None:
    folder, random, names = tmp_path_factory.mktemp("in C"), np.random.default_rng(1), sorted(STEPS)
    cases = []
    for number in range(0, len(names), 3):  # one network with each operator
        w = Quantized(data.draw)
        x = w.start(5, 6, 4)
        for name in names[number : number + 3]:
            x = STEPS[name](w, x)
        w.graph.outputs = [_dense(w, _global(w, _convolution(w, x)))]
        cases.append(_case(w, folder / f"{number}.tflite", random))
    for (network, inputs), made in zip(cases, machine(on).all_answers(cases, ("-DHQ_ROUNDS_TWICE=1",)), strict=True):
        np.testing.assert_array_equal(made, expected(network, inputs))


@pytest.mark.parametrize("on", ["zig", "gcc"])
@settings(max_examples=1)
@given(data=st.data())
def test_fast_depthwise_kernels_compute_the_same(
    tmp_path_factory: pytest.TempPathFactory, on: str, data: st.DataObject
) -> None:
    """Windows of 3 x 3 whose results fill int8, of all sizes about those of a tile: these have kernels of their own."""
    folder, random, cases = tmp_path_factory.mktemp("fast"), np.random.default_rng(2), []
    for number, (rows, columns, stride) in enumerate([(1, 1, 1), (2, 5, 1), (3, 8, 2), (4, 33, 1), (5, 34, 2)]):
        w = Quantized(data.draw)
        x = w.start(rows, columns, 8)
        w.grid(x, [0.05], [-3])
        shape = same_padding(rows, stride), same_padding(columns, stride), 8
        options = CONV | {"table": "DepthwiseConv2DOptions", "strideW": stride, "strideH": stride, "padding": 0}
        weights = w.weights_of(1, 3, 3, 8, axis=3, source=x)
        made = w.add("DEPTHWISE_CONV_2D", (x, *weights), 1, *shape, options=options, kind="INT8")
        w.shapes[made] = shape
        w.graph.outputs = [w.grid(made, [4 * w.scale(x)], [7 * number - 20])]
        cases.append(_case(w, folder / f"{number}.tflite", random))
    (options,) = {options_of(network) for network, _ in cases}
    assert options == (
        "-DHQ_ROUNDS_TWICE=1",
        "-DHQ_ZERO_POINTS=1",
        "-DHQ_THREE_BY_THREE=1",
        "-DHQ_SHIFTED=1",
        "-DHQ_BOUNDS=1",
    )
    for (network, inputs), made in zip(cases, machine(on).all_answers(cases, options), strict=True):
        np.testing.assert_array_equal(made, expected(network, inputs))


def _case(w: Quantized, path: Path, random: np.random.Generator) -> tuple[IntegerNetwork, np.ndarray]:
    """What was written, compared with the reference kernels, and inputs for it."""
    path.write_bytes(w.bytes())
    network = compared(path, 2)
    return network, random.integers(-128, 128, (3, *network.input_shape)).astype(np.int8)


@needs_models
@pytest.mark.parametrize(
    "name",
    ["kws_ref_model", "vww_96_int8", "pretrainedResnet_quant", "ad01_int8", "str_ww_ref_model"],
)
def test_the_models_of_mlperf_tiny(name: str) -> None:
    compared(MODELS / f"{name}.tflite", 2)


@needs_models
def test_what_has_no_form_is_named_with_what_would_have_one() -> None:
    with pytest.raises(UserError, match=r"resize_bilinear_150: RESIZE_BILINEAR has none"):
        read_tflite(SHARED / "modelzoo" / "models" / "ssd_mobilenet_v2_fpnlite_035_192_int8.tflite")
    with pytest.raises(UserError, match="computes in real numbers; convert it to int8, with a representative dataset"):
        read_tflite(MODELS / "kws_ref_model_float32.tflite")
