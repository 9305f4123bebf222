"""Model files of TFLite: real ones, converted ones, damaged ones."""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from effort import within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tflite_builds import SMALL, Writer, convolution

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.reader import read_graph

REPORTS = Path(__file__).resolve().parent.parent.parent / "shared" / "facts" / "xcube"


def pairs() -> list[Any]:
    """The reports of X-CUBE-AI on TFLite models, each with the path of its model."""
    if not REPORTS.is_dir():
        return []
    found = json.loads((REPORTS / "pairs.json").read_text())
    return [pytest.param(pair, id=pair["model"][7:30]) for pair in found if pair["model"].endswith(".tflite")]


def report_shape(text: str) -> tuple[int, ...]:
    """ "[b:1,h:26,w:26,c:32]" without the batch."""
    sizes = dict(re.findall(r"(\w):(\d+)", text))
    return tuple(int(n) for axis, n in sizes.items() if axis != "b")


reports = pytest.mark.skipif(not pairs(), reason="the published reports are not beside this checkout (../shared)")


@reports
@pytest.mark.parametrize("pair", pairs())
def test_shapes_and_parameters_are_those_of_the_report(pair: Any) -> None:
    graph = read_graph(REPORTS / pair["model"])
    assert sum(op.parameters for op in graph.operators) == pair["params"]
    assert all(op.known for op in graph.operators)
    rows = [row for row in pair["layers"] if not row["type"].startswith(("Input", "Placeholder"))]
    last = {row["id"]: report_shape(row["oshape"]) for row in rows}
    shapes = {int(op.name.rsplit("_", 1)[1]): op.output_shape for op in graph.operators if op.inputs}
    assert shapes == last


@reports
@pytest.mark.parametrize("pair", pairs())
def test_bytes_of_the_weights_are_those_of_the_report(pair: Any) -> None:
    """By the precisions of the file; the tool pads arrays to 4 bytes, and keeps no 8-bit weights in a float network."""
    size = 0
    for op in read_graph(REPORTS / pair["model"]).operators:
        assert op.precision is not None
        weights = Format.FLOAT32 if pair["model_fmt"] == "float" else op.precision.weights
        size += sum(-(-n * weights.bits // 32) * 4 for n in (op.kernel, op.other)) + op.bias * 4
    padding = size - pair["weights_ro"]
    assert 0 <= padding <= 12


@pytest.mark.parametrize("int8", [False, True])
def test_a_converted_model_has_the_layers_of_the_keras_model(tmp_path: Path, int8: bool) -> None:
    import keras
    import tensorflow as tf
    from keras import layers

    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", strides=2, activation="relu", bias_initializer="normal")(inputs)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same", bias_initializer="normal")(x)])
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", bias_initializer="normal")(x)
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D(2)(x))
    model = keras.Model(inputs, layers.Dense(5, activation="softmax", bias_initializer="normal")(x))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([np.ones((1, 16, 12, 3), np.float32) * i] for i in range(3))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    path = tmp_path / "model.tflite"
    path.write_bytes(converter.convert())
    wanted, found = ([op for op in graph.operators if op.kernel] for graph in (read_graph(model), read_graph(path)))
    assert [(op.kind, op.output_shape, op.kernel, op.bias) for op in found] == [
        (op.kind, op.output_shape, op.kernel, op.bias) for op in wanted
    ]
    for ours, theirs in zip(found, wanted, strict=True):  # the converter takes the softmax out of the dense layer
        assert ours.attributes.items() >= theirs.attributes.items() - {("activation", "softmax")}
    assert {op.precision.weights for op in found if op.precision} == {Format.INT8 if int8 else Format.FLOAT32}


def test_files_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    writer = Writer()
    convolution(writer, writer.input(1, 4, 4, 2), writer.weights(2, 3, 3, 2), 1, 4, 4, 2)
    with pytest.raises(UserError, match=r"operator 0 \(CONV_2D\): its settings give the output \(2, 2, 2\)"):
        writer.read(tmp_path)
    writer = Writer()
    writer.add("RELU", [writer.tensor((1, 4))], 1, 4)
    with pytest.raises(UserError, match="which no operator before it computes"):
        writer.read(tmp_path)
    writer = Writer()
    writer.add("RELU", [writer.input(1, 1, 4, signature=[-1, -1, 4])], 1, 4)
    with pytest.raises(UserError, match="not fixed"):
        writer.read(tmp_path)
    writer = Writer()
    convolution(writer, writer.input(1, 4, 4, 2), index := writer.weights(2, 3, 3, 2), 1, 2, 2, 2)
    writer.graph.tensors[index].shape = [2, 2**16, 2**16, 2]
    with pytest.raises(UserError, match=r"tensor 1 of shape .* has 144 bytes"):
        writer.read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x1c\0\0\0TFL3", b"\x04\0\0\0TFL3" + b"\xff" * 40, b"PK\3\4" * 10])
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"model\.tflite: damaged, or not a \.tflite file"):
        read_graph(path)
    with pytest.raises(UserError, match="no such file"):
        read_graph(tmp_path / "none.tflite")
    with pytest.raises(UserError, match="cannot read"):
        read_graph(tmp_path.rename(tmp_path.with_suffix(".tflite")))


WORDS = st.sampled_from([b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0", b"\x08\0\0\0"])
CHANGE = st.tuples(st.integers(0, len(SMALL) - 1), st.one_of(WORDS, st.binary(min_size=1, max_size=4)))


@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGE, max_size=6), end=st.one_of(st.none(), st.integers(0, len(SMALL))))
def test_damaged_files_are_read_or_refused_in_few_steps(
    tmp_path: Path, changes: list[tuple[int, bytes]], end: int | None
) -> None:
    data = bytearray(SMALL)
    for at, new in changes:
        data[at : at + len(new)] = new
    path = tmp_path / "model.tflite"
    path.write_bytes(data[:end])

    def said() -> str:
        try:
            operators = read_graph(path).operators
        except UserError as error:
            return str(error)
        assert all(prod(op.output_shape) < 2**41 for op in operators)
        return "".join(op.name + op.kind for op in operators)

    text = within(said)
    assert text.isprintable()
    assert len(text) < 1000


def test_a_million_inputs_are_refused_before_they_are_read(tmp_path: Path) -> None:
    writer = Writer()
    source = writer.input(1, 4)
    writer.add("CONCATENATION", [source] * 1_000_000, 1, 4_000_000)
    path = tmp_path / "model.tflite"
    path.write_bytes(writer.bytes())

    def refused() -> None:
        with pytest.raises(UserError, match="at most"):
            read_graph(path)

    within(refused)
