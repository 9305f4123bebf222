"""What is counted of any network: MACC, flash and RAM by rule, and what has none."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from hybridq.formats import Format
from hybridq.graph.keras.layers import LAYERS, WRAPPERS
from hybridq.graph.kinds import KINDS
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.profiler import profile as profile_by_version
from hybridq.profiler.accounting import accounting
from hybridq.profiler.count import macc

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
profile = partial(profile_by_version, accounting="x-cube-ai:7.1")  # the version of the published report


def chain(*ops: tuple[str, tuple[int, ...], dict[str, Any]]) -> Graph:
    """A graph of operators in a row: (kind, output shape, attributes)."""
    built = [Operator("in", "InputLayer", (), (), ops[0][1])]
    for i, (kind, shape, attributes) in enumerate(ops[1:]):
        before = built[-1]
        built.append(Operator(f"{kind}{i}", kind, (before.name,), (before.output_shape,), shape, attributes))
    return Graph("chain", tuple(built), (built[-1].name,))


def test_one_dense_layer_needs_no_arena() -> None:
    totals = profile(chain(("", (7,), {}), ("Dense", (5,), {}))).totals
    assert (totals.activations_bytes, totals.io_bytes, totals.macc) == (0, 48, 40)


def test_dense_layers_hold_input_and_output_together() -> None:
    totals = profile(chain(("", (7,), {}), *(("Dense", (n,), {}) for n in (30, 20, 25, 5)))).totals
    assert totals.activations_bytes == 4 * (30 + 20)


def test_a_branching_network_adds_up_what_is_alive() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((10, 10, 2))
    x = layers.Conv2D(4, 1, name="a")(inputs)  # 400
    y = layers.Conv2D(4, 1, name="b")(x)  # 400, beside a
    x = layers.Add(name="sum")([x, y])  # 400, over one of them
    x = layers.GlobalAveragePooling2D()(x)
    report = profile(keras.Model(inputs, layers.Dense(3)(x)))
    assert "branches" in report.planner
    assert report.totals.activations_bytes == 4 * 800
    assert next(row.macc for row in report.rows if row.name == "sum") == 400


def test_a_layer_without_a_rule_is_named_never_zero() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((10, 3))
    x = layers.Lambda(lambda t: t[:, 0, :], name="own")(inputs)
    x = layers.Dense(4, activation="sparsemax", name="odd")(x)
    x = layers.Dense(4, activation="gelu", name="guessed")(x)
    report = profile(keras.Model(inputs, x))
    own, odd, guessed = report.rows
    assert (own.kind, own.macc, own.weights_bytes) == ("unknown: Lambda", None, None)
    assert (odd.macc, odd.weights_bytes) == (None, 64)
    assert guessed.macc == 20 + 4 * 11
    assert report.not_costed == ("own (unknown: Lambda)", "odd (the activation sparsemax)")
    assert report.assumed == ("gelu",)


def test_every_layer_that_is_read_is_counted() -> None:
    of_tflite = {"SpaceToBatch", "BatchToSpace", "SVDF", "Constant", "ReadVariable", "AssignVariable", "Dequantize"}
    assert set(LAYERS) | WRAPPERS | of_tflite | {"InputLayer"} == set(KINDS)
    assert {name for name, kind in KINDS.items() if not macc.has_rule(kind)} == {"InputLayer"}


def counts(shape: tuple[int, ...], *layers: Any) -> list[int | None]:
    """MACC of Keras layers in a row, each a row of the report."""
    import keras

    inputs = x = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return [row.macc for row in profile(keras.Model(inputs, x)).rows]


def test_macc_of_recurrent_layers() -> None:
    """As reports have the LSTM, 4 matrices and 5 a unit, and the GRU, 3 and 2; by analogy 1 and 1."""
    from keras import layers

    assert counts((20, 6), layers.LSTM(8)) == [20 * (4 * 8 * (6 + 8) + 5 * 8)]
    assert counts((20, 6), layers.GRU(8)) == [20 * (3 * 8 * (6 + 8) + 2 * 8)]
    assert counts((20, 6), layers.SimpleRNN(8)) == [20 * (8 * (6 + 8) + 8)]
    once = 20 * (4 * 8 * (6 + 8) + 5 * 8)
    assert counts((20, 6), layers.Bidirectional(layers.LSTM(8))) == [2 * once]
    assert counts((20, 6), layers.Bidirectional(layers.LSTM(8), merge_mode="ave")) == [2 * once + 2 * 8]


def test_a_layer_at_each_step_counts_once_a_step() -> None:
    import keras
    from keras import layers

    conv, dense = (8 * 8 * 4 * 9 + 4) + 8 * 8 * 4, 256 * 3 + 3 + 15 * 3
    inner = keras.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3, "softmax")])
    assert counts((5, 10, 10, 1), layers.TimeDistributed(inner)) == [5 * (conv + dense)]
    odd = layers.TimeDistributed(layers.Dense(3, activation="sparsemax"), name="steps")
    inputs = keras.Input((5, 4))
    report = profile(keras.Model(inputs, odd(inputs)))
    assert report.not_costed == ("steps/layer (the activation sparsemax)",)


def test_macc_of_attention_is_that_of_its_parts() -> None:
    import keras
    from keras import layers

    query, value = keras.Input((5, 4)), keras.Input((7, 6))
    x = layers.MultiHeadAttention(2, 3, value_dim=8)(query, value)
    (row,) = profile(keras.Model([query, value], x)).rows
    dense = 5 * (4 * 6 + 6) + 7 * (6 * 6 + 6) + 7 * (6 * 16 + 16) + 5 * (16 * 4 + 4)
    assert row.macc == dense + 2 * 5 * 7 * (3 + 15 + 8)


def test_macc_of_layers_that_reports_have_under_other_names() -> None:
    from keras import layers

    assert counts((9, 10, 4), layers.UpSampling2D(2)) == [0]
    assert counts((9, 10, 4), layers.UpSampling2D(2, interpolation="bilinear")) == [4 * 18 * 20 * 4]
    # with as many rows as its input, a transposed convolution multiplies as often as the convolution back
    assert counts((9, 10, 4), layers.Conv2DTranspose(6, 1)) == counts((9, 10, 4), layers.Conv2D(6, 1))
    assert counts((9, 10, 4), layers.Conv2DTranspose(6, 3, strides=2)) == [9 * 10 * 4 * 9 * 6 + 6]
    assert counts((9,), layers.RepeatVector(3), layers.LayerNormalization()) == [0, 4 * 27]


def test_the_report_names_what_is_assumed() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((9, 4))
    x = layers.TimeDistributed(layers.Dense(4))(
        layers.Bidirectional(layers.SimpleRNN(4, return_sequences=True))(inputs)
    )
    x = layers.Conv1DTranspose(4, 3, activation="mish")(layers.LSTM(4, return_sequences=True)(x))
    assert profile(keras.Model(inputs, x)).assumed == ("Conv1DTranspose with mish", "SimpleRNN", "TimeDistributed")


def test_a_model_inside_is_stored_once_and_its_layers_have_plans() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((6,))
    core = keras.Sequential([layers.Dense(6, name="wide"), layers.Dense(6, name="narrow")], name="core")
    model = keras.Model(inputs, core(core(inputs)))
    totals = profile(model).totals
    assert (totals.weights_bytes, totals.macc) == (4 * 2 * 42, 4 * 42)
    binary = profile(model, plan=PrecisionPlan.from_data({"core/wide": "binary"})).totals
    assert totals.weights_bytes - binary.weights_bytes == 4 * 36 - 5  # 36 bits take 5 bytes


def test_a_shared_layer_is_stored_once_and_run_twice() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((6,))
    shared = layers.Dense(6, name="shared")
    totals = profile(keras.Model(inputs, shared(shared(inputs)))).totals
    assert (totals.weights_bytes, totals.macc) == (4 * 42, 2 * 42)


def test_8_bit_layers_count_by_the_version() -> None:
    int8 = LayerPrecision(Format.INT8, Format.FLOAT32, Format.INT8)
    softmax = Operator("s", "Softmax", ("in",), ((10,),), (10,), {"activation": "softmax"}, precision=int8)
    assert [macc.macc(softmax, accounting(f"x-cube-ai:{version}")) for version in ("5.2", "6.0", "8.1")] == [
        190,
        190,
        150,
    ]


def test_zeros_of_equal_lstms_are_stored_once() -> None:
    import keras

    lstms = [keras.layers.LSTM(units, return_sequences=True) for units in (8, 8, 6)]
    rows = profile_by_version(keras.Sequential([keras.Input((5, 8)), *lstms]), accounting="x-cube-ai:2.2").rows
    numbers = [4 * 8 * (8 + 8 + 1), 4 * 8 * (8 + 8 + 1), 4 * 6 * (8 + 6 + 1)]
    assert [row.weights_bytes for row in rows] == [4 * (numbers[0] + 3 * 8), 4 * numbers[1], 4 * (numbers[2] + 3 * 6)]
