"""An int8 `.tflite` file as an integer network: every tensor is what TensorFlow Lite's reference kernels make it."""

from __future__ import annotations

import contextlib
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_runs import expected, machine, options_of
from tflite_builds import CONV
from tflite_draws import STEPS, Quantized, convolution, dense, networks, over_all_places, same_padding

from hybridq.errors import UserError
from hybridq.graph.tflite.file import read_network
from hybridq.integer.arithmetic import every_tensor
from hybridq.integer.artefact import load_network, save_network
from hybridq.integer.network import IntegerNetwork
from hybridq.tflite.convert import tflite
from hybridq.tflite.reading import read_tflite

pytest.importorskip("ai_edge_litert", reason="needs pip install hybridq[deploy]")
SHARED = Path(__file__).parents[2] / "shared" / "facts"
MODELS = SHARED / "mlperf" / "models"
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="needs the models of MLPerf Tiny in ../shared/facts")
# Grids so far apart that the factor between them is 1 or more: no kernel of ours has it.
REFUSED = re.compile("finer than|a shift beyond|the shift -|computes nothing of its input")


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
    own = sum(any(mark in layer.name for mark in (" as ", "(spread)", "(part")) for layer in network.layers)
    assert len(tensors) >= len(network.layers) - own
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
        w.graph.outputs = [dense(w, over_all_places(w, convolution(w, x)))]
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
        "-DHQ_ONE_PLACE=0",
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
    with pytest.raises(UserError, match="that is its form there"):
        tflite(read_tflite(MODELS / "ad01_int8.tflite"))
    with pytest.raises(UserError, match="tensor 3 is no constant but what DENSIFY makes; weights must be"):
        read_tflite(SHARED / "wild" / "sparse_int8.tflite")
    with pytest.raises(UserError, match="computes in real numbers; convert it to int8, with a representative dataset"):
        read_tflite(MODELS / "kws_ref_model_float32.tflite")
