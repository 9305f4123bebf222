"""Files of Keras 2: TensorFlow's functions, and what tools for training put around layers."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path

import h5py
import pytest
from keras_2_files import made

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.keras.reader import keras_graph
from hybridq.graph.reader import Graph, read_graph
from hybridq.precision import LayerPrecision
from hybridq.profiler import profile

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "facts" / "wild"
SAME = (8, 8, 4)
# The call, the kind that it is read as, the shape of its (first) result and the numbers that it stores.
CALLS: list[tuple[str, str, tuple[int, ...], int]] = [
    ("x + x", "Add", SAME, 0),
    ("x + 2.0", "Add", SAME, 0),
    ("2.0 * x", "Multiply", SAME, 0),
    ("x / 255.0", "Divide", SAME, 0),
    ("x * np.arange(4, dtype='float32')", "Multiply", SAME, 4),
    ("x - np.ones((1, 1, 4), 'float32')", "Subtract", SAME, 4),
    ("x ** 2", "Power", SAME, 0),
    ("tf.maximum(x, 0.)", "Maximum", SAME, 0),
    ("tf.add_n([x, x, x])", "Add", SAME, 0),
    ("tf.nn.bias_add(x, [1., 2., 3., 4.])", "Add", SAME, 4),
    ("tf.nn.relu(x)", "Activation", SAME, 0),
    ("tf.nn.relu6(x)", "Activation", SAME, 0),
    ("tf.sigmoid(x)", "Activation", SAME, 0),
    ("tf.nn.softmax(x)", "Activation", SAME, 0),
    ("tf.nn.silu(x)", "Activation", SAME, 0),
    ("tf.sqrt(x)", "Sqrt", SAME, 0),
    ("-x", "Negative", SAME, 0),
    ("tf.clip_by_value(x, 0., 6.)", "Clip", SAME, 0),
    ("tf.cast(x, 'float32')", "Identity", SAME, 0),
    ("tf.math.l2_normalize(x, axis=-1)", "UnitNormalization", SAME, 0),
    ("tf.reshape(x, (-1, 256))", "Reshape", (256,), 0),
    ("tf.reshape(x, [tf.shape(x)[0], 32, 8])", "Reshape", (32, 8), 0),
    ("tf.expand_dims(x, -1)", "Reshape", (8, 8, 4, 1), 0),
    ("tf.squeeze(tf.expand_dims(x, 1), 1)", "Reshape", SAME, 0),
    ("tf.transpose(x, [0, 3, 1, 2])", "Permute", (4, 8, 8), 0),
    ("tf.concat([x, x], axis=-1)", "Concatenate", (8, 8, 8), 0),
    ("tf.stack([x, x], axis=1)", "Stack", (2, 8, 8, 4), 0),
    ("tf.split(x, 2, axis=-1)[0]", "Split", (8, 8, 2), 0),
    ("tf.split(x, [1, 3], axis=-1)[0]", "Split", (8, 8, 1), 0),
    ("tf.pad(x, [[0, 0], [1, 1], [2, 2], [0, 0]])", "ZeroPadding2D", (10, 12, 4), 0),
    ("tf.pad(x, [[0, 0], [0, 0], [0, 0], [2, 2]])", "Pad", (8, 8, 8), 0),
    ("tf.tile(x, [1, 2, 1, 1])", "Tile", (16, 8, 4), 0),
    ("tf.reduce_mean(x, axis=[1, 2])", "GlobalAveragePooling2D", (4,), 0),
    ("tf.reduce_mean(x, axis=-1, keepdims=True)", "Mean", (8, 8, 1), 0),
    ("tf.reduce_max(x, axis=1)", "Max", (8, 4), 0),
    ("x[:, 0]", "Slice", (8, 4), 0),
    ("x[:, 1:5, ::2]", "Slice", (4, 4, 4), 0),
    ("x[..., 0]", "Slice", (8, 8), 0),
    ("x[:, :, :, tf.newaxis, :2]", "Slice", (8, 8, 1, 2), 0),
    ("tf.slice(x, [0, 1, 1, 0], [-1, 3, 3, 4])", "Slice", (3, 3, 4), 0),
    ("tf.image.resize(x, (16, 16))", "Resizing", (16, 16, 4), 0),
    ("tf.nn.max_pool2d(x, 2, 2, 'SAME')", "MaxPooling2D", (4, 4, 4), 0),
    ("tf.nn.avg_pool2d(x, [2, 2], [2, 2], 'VALID')", "AveragePooling2D", (4, 4, 4), 0),
    ("tf.matmul(x, x, transpose_b=True)", "Matmul", (8, 8, 8), 0),
    ("tf.matmul(x, np.ones((1, 4, 3), 'float32'))", "Matmul", (8, 8, 3), 12),
    # none of these has a rule
    ("tf.reverse(x, [1])", "unknown: reverse", (), 0),
    ("tf.tensordot(x, np.ones((4, 3), 'float32'), 1)", "unknown: tensordot", (), 12),
    ("tf.reshape(x, (-1, 4))", "unknown: Reshape of the batch", (), 0),
]
WRAPPED = """
import tensorflow_model_optimization as tfmot
x = keras.Input((16, 16, 3))
y = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, padding="same", use_bias=False)(x)))
y = L.Add()([y, L.DepthwiseConv2D(3, padding="same", activation="relu", bias_initializer="normal")(y)])
y = L.Flatten()(L.MaxPooling2D()(y))
small = keras.Model(x, L.Dense(4, activation="softmax", bias_initializer="normal")(y))
small.layers[2].set_weights([np.ones(8), np.ones(8), np.ones(8), np.ones(8)])
small.save(folder + "/plain.h5")
trained = tfmot.quantization.keras.quantize_model(small)
trained.save(folder + "/quantize_model.h5")
trained.save(folder + "/quantize_model.keras")
trained(np.random.default_rng(0).random((4, 16, 16, 3), "float32"), training=True)
converter = tf.lite.TFLiteConverter.from_keras_model(trained)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
with open(folder + "/quantize_model.tflite", "wb") as file:
    file.write(converter.convert())
centroids = tfmot.clustering.keras.CentroidInitialization.LINEAR
tfmot.sparsity.keras.prune_low_magnitude(small).save(folder + "/prune_low_magnitude.h5")
tfmot.clustering.keras.cluster_weights(small, 4, centroids).save(folder + "/cluster_weights.h5")
tfmot.quantization.keras.quantize_annotate_model(small).save(folder + "/quantize_annotate_model.h5")
"""
PROGRAM = """
x = keras.Input((8, 8, 4))
ends = [eval(call) for call in CALLS]
keras.Model(x, ends).save(folder + "/functions.h5")
model = keras.applications.MobileNetV3Small((64, 64, 3), alpha=0.35, weights=None, classes=7)
model.save(folder + "/mobile.h5")
kernels = [w for layer in model.layers if "Normalization" not in type(layer).__name__ for w in layer.weights]
print(json.dumps([[end._keras_history.layer.name for end in ends], sum(int(np.prod(w.shape)) for w in kernels)]))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], int]:
    """The folder, the names of the calls, and how many numbers MobileNetV3Small has but for its batch norms."""
    folder = tmp_path_factory.mktemp("functions")
    names, count = made(folder, f"{WRAPPED}\nCALLS = {[call for call, *_ in CALLS]!r}{PROGRAM}")
    return folder, names, count


@pytest.fixture(scope="module")
def graph(files: tuple[Path, list[str], int]) -> Graph:
    return read_graph(files[0] / "functions.h5")


@pytest.mark.parametrize("number", range(len(CALLS)), ids=[call for call, *_ in CALLS])
def test_a_function_is_read_as_a_layer(number: int, graph: Graph, files: tuple[Path, list[str], int]) -> None:
    call, kind, shape, stored = CALLS[number]
    op = next(op for op in graph.operators if op.name == files[1][number])
    assert (op.kind, op.output_shape, op.parameters) == (kind, shape, stored), call
    assert op.inputs


def test_a_network_of_keras_2_is_counted_whole(files: tuple[Path, list[str], int]) -> None:
    """Hard swish is written there as x * relu6(x + 3) / 6, of functions."""
    report = profile(files[0] / "mobile.h5")
    assert not report.not_costed
    biases = sum(row.output_shape[-1] for row in report.rows if "norm" in row.marks)
    assert report.totals.parameters == files[2] + biases


WRONG = (None, -1, 0, 10**30, 0.5, "x", [], [[]], {}, ["a", 0, 0], [10**30] * 3, float("nan"))


def test_a_damaged_argument_is_refused_or_named(files: tuple[Path, list[str], int]) -> None:
    """Each argument of each call that reads the input alone, in turn, something else than it was."""
    with h5py.File(files[0] / "functions.h5") as file:
        start, *calls = json.loads(file.attrs["model_config"])["config"]["layers"]
    ends = {"input_layers": [[start["name"], 0, 0]]}
    tried = 0
    for layer in calls:
        first = layer["inbound_nodes"][0]
        first = first if isinstance(first[0], str) else first[0]
        alone = first[0] in (start["name"], "_CONSTANT_VALUE")
        if not alone or any("tf." in str(given) for given in first[3].values()):
            continue
        for key, right in list(first[3].items()):
            for wrong in WRONG:
                first[3][key] = wrong
                config = {"name": "m", "layers": [start, layer], "output_layers": [[layer["name"], 0, 0]], **ends}
                with contextlib.suppress(UserError):
                    keras_graph({"class_name": "Functional", "config": config}, "m")
                tried += 1
            first[3][key] = right
    assert tried > 500


@pytest.mark.parametrize("tool", ["prune_low_magnitude", "cluster_weights", "quantize_annotate_model"])
def test_what_a_tool_puts_around_a_layer_is_taken_off(files: tuple[Path, list[str], int], tool: str) -> None:
    plain, wrapped = profile(files[0] / "plain.h5"), profile(files[0] / f"{tool}.h5")
    assert wrapped.totals == plain.totals
    assert [row.kind for row in wrapped.rows] == [row.kind for row in plain.rows]


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_model_trained_for_8_bits_is_the_file_that_is_made_of_it(
    files: tuple[Path, list[str], int], suffix: str
) -> None:
    trained, file = (profile(files[0] / f"quantize_model.{end}") for end in (suffix, "tflite"))
    assert not trained.not_costed
    rows = [row for row in file.rows if row.kind != "Dequantize"]  # the answer leaves the file as float
    figures = [[(row.kind, row.weights_bytes, row.macc) for row in one] for one in (trained.rows, rows)]
    assert figures[0] == figures[1]
    assert trained.totals.activations_bytes == file.totals.activations_bytes


VITIS = {"module": "tensorflow_model_optimization.python.core.quantization.keras.vitis.common.vitis_quantize_wrapper"}


def test_what_vitis_puts_around_a_layer_is_taken_off(files: tuple[Path, list[str], int]) -> None:
    """As its files name the classes; the toolkit itself is not on PyPI."""
    with h5py.File(files[0] / "plain.h5") as file:
        saved = json.loads(file.attrs["model_config"])
    for layer in saved["config"]["layers"]:
        if layer["class_name"] == "InputLayer":
            continue
        inner = {"class_name": layer["class_name"], "config": layer["config"]}
        layer |= {"class_name": "Vitis>QuantizeWrapper", "config": {"name": layer["name"], "layer": inner}, **VITIS}
        if "activation" in inner["config"]:
            aware = {"activation": inner["config"]["activation"], "activation_quantizers": []}
            inner["config"] |= {"activation": {"class_name": "Vitis>QuantizeAwareActivation", "config": aware}}
    quantized = profile(keras_graph(saved, ""))
    assert not quantized.not_costed
    assert quantized.totals.parameters == profile(files[0] / "plain.h5").totals.parameters
    assert {row.precision for row in quantized.rows if row.precision} == {
        LayerPrecision(Format.INT8, Format.FLOAT32, Format.INT8)
    }


@pytest.mark.skipif(not SHARED.is_dir(), reason="the files are not beside this checkout (../shared)")
def test_a_file_of_somebody_who_adds_with_plus() -> None:
    report = profile(SHARED / "keras2_plus.h5")
    assert (report.totals.parameters, report.totals.macc, report.not_costed) == (4_682, 155_658, ())


@pytest.mark.skipif(not SHARED.is_dir(), reason="the files are not beside this checkout (../shared)")
def test_a_file_of_somebody_who_trained_for_8_bits() -> None:
    report = profile(SHARED / "keras2_qat_wrappers.h5")
    assert not report.not_costed
    assert report.totals.parameters == 3 * 3 * 8 + 8 + 1352 * 10 + 10
    assert report.totals.flash_bytes == 3 * 3 * 8 + 1352 * 10 + 4 * (8 + 10)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the files are not beside this checkout (../shared)")
def test_a_hybrid_network_of_larq_is_what_st_prints_for_it() -> None:
    path = SHARED.parent / "modelzoo" / "models" / "st_resnet_8_hybrid_v2_32_tfs.h5"
    report = profile(path, accounting="x-cube-ai:8.1")
    assert not report.not_costed
    assert round(report.totals.flash_bytes / 1024, 2) == 66.28
    assert round(report.totals.activations_bytes / 1024, 2) == 72.0
    weights = Counter(str(row.precision.weights) for row in report.rows if row.precision)
    assert weights == {"8-bit": 15, "binary": 12, "float32": 1}
