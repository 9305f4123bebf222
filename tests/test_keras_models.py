"""Whole Keras models: wrappers, models inside models, shared layers, several results, files of Keras 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.reader import read_graph
from hybridq.profiler import profile


def counted(model: Any) -> tuple[int, int]:
    """The numbers stored, by us and by Keras."""
    return sum(op.parameters for op in read_graph(model).operators), model.count_params()


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_bidirectional(kind: str, mode: str) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((9, 4))
    inner = getattr(layers, kind)(5, return_sequences=True, return_state=True)
    x, *states = layers.Bidirectional(inner, merge_mode=mode, name="both")(inputs)
    model = keras.Model(inputs, [x, *states])
    op = read_graph(model).operators[1]
    assert [op.output_shape, *op.further_outputs] == [shape[1:] for shape in model.output_shape]
    assert op.parameters == model.count_params()
    assert [inner.kind for inner in op.attributes["inside"].operators] == ["InputLayer", kind, "InputLayer", kind]


def test_bidirectional_apart_and_with_first_states() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((9, 4))
    states = [keras.Input((5,)) for _ in range(2)]
    a, b = layers.Bidirectional(layers.GRU(5), merge_mode=None)(inputs, initial_state=states)
    x = layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3, go_backwards=True))(inputs)
    model = keras.Model([inputs, *states], layers.Concatenate()([a, b, x]))
    ours, theirs = counted(model)
    assert ours == theirs
    assert read_graph(model).operators[-1].input_shapes == ((5,), (5,), (6,))


def test_time_distributed_layers_and_models() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((5, 12, 12, 1))
    x = layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu"), name="conv")(inputs)
    inner = keras.Sequential([layers.MaxPooling2D(), layers.BatchNormalization(scale=False), layers.Flatten()])
    x = layers.TimeDistributed(inner, name="model")(x)
    x = layers.TimeDistributed(layers.Bidirectional(layers.LSTM(2)), name="deep")(layers.Reshape((5, 10, 10))(x))
    x = layers.TimeDistributed(layers.Lambda(lambda t: t * 2), name="odd")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    ops = {op.name: op for op in read_graph(model).operators}
    assert ops["conv"].output_shape == (5, 10, 10, 4)
    assert ops["model"].output_shape == (5, 100)
    assert ops["model"].other == 8
    assert ops["odd"].kind == "unknown: TimeDistributed of Lambda"
    assert ops["odd"].output_shape == (5, 4)
    ours, theirs = counted(model)
    assert ours == theirs - 4  # Keras has a mean, a variance and an offset for each channel


def nested() -> Any:
    """A functional model of two inputs and a sequential one in it, the first used twice; in that again a model."""
    import keras
    from keras import layers

    core = keras.Sequential([layers.Dense(6, "relu", name="wide"), layers.Dense(4, name="narrow")], name="core")
    a, b = keras.Input((4,)), keras.Input((4,))
    joined = core(layers.Add(name="add")([a, core(b)]))
    block = keras.Model([a, b], [joined, a], name="block")
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    x, same = block([one, two])
    x, _ = block([layers.Subtract(name="less")([x, same]), two])
    tail = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="last")], name="tail")
    return keras.Model([one, two], [tail(x), block([x, two])[0]], name="nested")


def test_models_inside_models_are_taken_apart(tmp_path: Path) -> None:
    model = nested()
    graph = read_graph(model)
    ops = {op.name: op for op in graph.operators}
    assert {name for name in ops if name.startswith("block/")} == {
        *("block/core/wide", "block/core/narrow", "block/add", "block/core:1/wide", "block/core:1/narrow")
    }
    assert ops["block/core/wide"].inputs == ("two",)
    assert ops["block/add"].inputs == ("one", "block/core/narrow")
    assert ops["less"].inputs == ("block/core:1/narrow", "one")
    assert ops["tail/last"].inputs == ("block:1/core:1/narrow",)
    assert graph.outputs == ("tail/last", "block:2/core:1/narrow")
    ours, theirs = counted(model)
    assert ours == theirs  # whatever is used twice is stored once
    model.save(tmp_path / "nested.keras")
    model.save(tmp_path / "nested.h5")
    assert read_graph(tmp_path / "nested.keras") == read_graph(tmp_path / "nested.h5") == graph


def test_a_sequential_model_that_begins_with_a_model() -> None:
    import keras
    from keras import layers

    model = keras.Sequential([keras.Sequential([keras.Input((4,)), layers.Dense(3)]), layers.Dense(2)])
    assert [op.output_shape for op in read_graph(model).operators] == [(4,), (3,), (2,)]


def test_arithmetic_and_masks() -> None:
    import keras
    import numpy as np
    from keras import layers

    inputs = keras.Input((5, 3))
    x = layers.Masking(name="masking")(inputs)
    x = layers.LSTM(4, name="memory")(x)
    x = x * 2.0 + layers.Dense(4)(x)
    x = keras.ops.add(x, np.ones(4, "float32"))
    graph = read_graph(keras.Model(inputs, x))
    ops = {op.kind: op for op in graph.operators}
    assert ops["LSTM"].inputs[0] == "masking"
    assert ops["Any"].output_shape == (5,)
    assert ops["Multiply"].output_shape == ops["Add"].output_shape == (4,)
    assert "unknown: Add" in ops  # it stores an array


def test_operations_of_a_functional_model(tmp_path: Path) -> None:
    """Some are layers by another name; others have the name of a layer that does something else."""
    import keras
    import numpy as np
    from keras import layers, ops

    keras.utils.clear_session()  # the names of operations begin again
    inputs = keras.Input((9, 4))
    x = ops.reshape(ops.leaky_relu(inputs), (-1, 36))
    joined = ops.concatenate([x, ops.hard_silu(x)], axis=-1)
    rows = ops.reshape(inputs, (-1, 4))  # the steps become the batch
    mean = ops.average(inputs, axis=1)  # it has the name of a layer that does something else
    stored = ops.concatenate([mean, np.ones((1, 2), "float32")], axis=-1)
    outputs = [layers.Dense(3)(joined), layers.Dense(2)(rows), layers.Dense(2)(mean), stored]
    model = keras.Model(inputs, outputs, name="operations")
    graph = read_graph(model)
    known = {op.name: (op.kind, op.output_shape) for op in graph.operators if op.known and op.kind != "Dense"}
    assert known == {
        "input_layer": ("InputLayer", (9, 4)),
        "leaky_relu": ("Activation", (9, 4)),
        "hard_silu": ("Activation", (36,)),
        "reshape": ("Reshape", (36,)),
        "concatenate": ("Concatenate", (72,)),
    }
    not_costed = profile(graph).not_costed
    assert not_costed == (
        "reshape_1 (unknown: Reshape of the batch)",
        "average (unknown: Average)",
        "concatenate_1 (unknown: Concatenate)",
    )
    model.save(tmp_path / "operations.keras")
    assert read_graph(tmp_path / "operations.keras") == graph


def test_operations_of_an_h5_file(tmp_path: Path) -> None:
    """There nothing but their settings tells them from layers."""
    import keras
    from keras import layers, ops

    inputs = keras.Input((9, 4))
    x = layers.Average()([ops.average(inputs, axis=1), ops.relu6(layers.Flatten()(inputs))[:, :4]])
    model = keras.Model(inputs, x)
    model.save(tmp_path / "operations.h5")
    model.save(tmp_path / "operations.keras")
    graph = read_graph(tmp_path / "operations.h5")
    assert graph == read_graph(tmp_path / "operations.keras") == read_graph(model)
    assert [op.kind for op in graph.operators if op.kind.endswith("Average")] == ["unknown: Average", "Average"]


@pytest.mark.parametrize(("mode", "precision"), [("int8", Format.INT8), ("int4", Format.INT4)])
def test_a_model_that_keras_quantized(tmp_path: Path, mode: str, precision: Format) -> None:
    """Its kernels are narrow; the scales beside them are no parameters, as in a `.tflite` file."""
    import keras
    from keras import layers

    inputs = keras.Input((6,), dtype="int32")
    x = layers.Dense(8)(layers.Embedding(11, 8)(inputs))
    model = keras.Model(inputs, layers.EinsumDense("abc,cd->abd", (6, 5))(layers.ReLU()(x)))
    plain = read_graph(model)
    model.quantize(mode)
    model.save(tmp_path / "quantized.keras")
    graph = read_graph(tmp_path / "quantized.keras")
    assert [op.parameters for op in graph.operators] == [op.parameters for op in plain.operators]
    said = {op.kind: op.precision.weights for op in graph.operators if op.precision}
    assert said == dict.fromkeys(("Embedding", "Dense", "EinsumDense"), precision)


def test_layers_of_qkeras_in_an_h5_file(tmp_path: Path) -> None:
    """Keras writes their names as "qkeras>QDense" there."""
    import keras
    from qkeras import QActivation, QConv2D, QDense, binary, quantized_bits

    layers = [
        keras.Input((8, 8, 1)),
        QConv2D(4, 3, kernel_quantizer=quantized_bits(4), bias_quantizer=quantized_bits(8)),
        QActivation("quantized_relu(4)"),
        keras.layers.Flatten(),
        QDense(3, kernel_quantizer=binary()),
    ]
    model = keras.Sequential(layers)
    model.save(tmp_path / "quantized.h5")
    graph = read_graph(tmp_path / "quantized.h5")
    assert [op.precision for op in graph.operators] == [op.precision for op in read_graph(model).operators]
    assert [op.kind for op in graph.operators[1:]] == ["Conv2D", "Activation", "Flatten", "Dense"]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_that_is_a_class_of_its_own_says_so(tmp_path: Path, suffix: str) -> None:
    import keras
    import numpy as np

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 4)))
    model.save(tmp_path / f"own{suffix}")
    with pytest.raises(UserError, match="a class of its own"):
        read_graph(tmp_path / f"own{suffix}")


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(UserError, match="holds weights alone"):
        read_graph(tmp_path / "model.weights.h5")


def test_layers_that_cannot_be_known_keep_the_shape_that_the_file_says() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((4,))
    middle = layers.Lambda(lambda x: x[:, :3], name="middle")(inputs)
    last = layers.Lambda(lambda x: x[:, :2], output_shape=(2,), name="last")(layers.Dense(5)(middle))
    graph = read_graph(keras.Model(inputs, last))
    assert [(op.kind, op.output_shape) for op in graph.operators] == [
        ("InputLayer", (4,)),
        ("unknown: Lambda", (3,)),
        ("Dense", (5,)),
        ("unknown: Lambda", (2,)),
    ]


def test_files_of_keras_2(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras", reason="writes the files of Keras 2")
    layers = keras.layers
    core = keras.Sequential([layers.Input((9, 4)), layers.Dense(6), layers.Dense(4)], name="core")
    late = keras.Sequential([layers.Dense(4)], name="late")
    one, two = keras.Input((9, 4), name="one"), keras.Input((9, 4), name="two")
    x = late(core(one))
    x = core(layers.MultiHeadAttention(2, 3, name="attention")(x, value=two, key=one))
    x, *states = layers.LSTM(5, return_sequences=True, return_state=True, name="first")(x)
    x = layers.LSTM(5, return_sequences=True, name="second")(x, initial_state=states)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(x)
    x = layers.TimeDistributed(layers.Dense(4), name="steps")(x)
    x = layers.Masking(name="masking")(x)
    model = keras.Model([one, two], [core(x), x])
    model.save(tmp_path / "old.h5")
    graph = read_graph(tmp_path / "old.h5")
    ops = {op.name: op for op in graph.operators}
    assert all(op.known for op in graph.operators)
    assert sum(op.parameters for op in graph.operators) == model.count_params()
    assert ops["attention"].inputs == ("late/dense_2", "two", "one")
    assert ops["second"].inputs == ("first", "first", "first")
    assert ops["second"].input_shapes == ((9, 5), (5,), (5,))
    assert graph.outputs == ("core:2/dense_1", "masking")
