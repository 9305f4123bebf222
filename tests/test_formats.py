"""Every number format in every room: trained, saved and read back, profiled, searched, in integers, packed, as C."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import answers

from hybridq.errors import UserError
from hybridq.formats import INTEGERS, Format, holding
from hybridq.graph.reader import read_graph
from hybridq.image import packing
from hybridq.image.constants import constants_bytes
from hybridq.image.emit import emit, kernel_files
from hybridq.image.memory_plan import plan as memory_plan
from hybridq.image.toolchain import SOURCES
from hybridq.integer import arithmetic
from hybridq.integer.artefact import digest, load_network, save_network
from hybridq.integer.checks import check
from hybridq.integer.convert import settle
from hybridq.integer.lowering import integer_network
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile
from hybridq.profiler.accounting import accounting
from hybridq.profiler.render.html import fragment
from hybridq.profiler.suggest import suggest
from hybridq.quantization.graph import quantized_graph
from hybridq.quantization.model import calibrated, quantize

TRAINED = [one for one in Format if one.row.kernel]
LAYERS = ("conv2d", "depthwise", "dense")


@pytest.fixture(scope="module")
def model() -> Any:
    """A layer of each kind that a kernel format is for; the depthwise channels differ in size a thousandfold."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 6, 4), name="input")
    x = layers.Conv2D(4, 3, activation="relu", name="conv2d")(x)
    x = layers.DepthwiseConv2D(3, activation="relu", padding="same", name="depthwise")(x)
    x = layers.Dense(5, activation="relu", name="dense")(layers.Flatten(name="flatten")(x))
    network = keras.Model(inputs, layers.Dense(3, activation="softmax", name="last")(x))
    kernel, bias = network.get_layer("depthwise").get_weights()
    network.get_layer("depthwise").set_weights([kernel * np.array([1, 0.1, 0.01, 0.001])[:, None], bias])
    return network


def clips(count: int = 32) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 8, 6, 4)).astype(np.float32)


def planned(one: Format) -> PrecisionPlan:
    return PrecisionPlan.from_data({**dict.fromkeys(LAYERS, one.value), "last": "8-bit", "*": {"outputs": "8-bit"}})


@pytest.fixture(scope="module", params=TRAINED, ids=str)
def quantized(request: pytest.FixtureRequest, model: Any) -> tuple[Format, Any]:
    plan = planned(request.param)
    network = quantize(model, plan, calibrated(model, plan, clips()))
    settle(network)  # no grid is finer than sums of so few levels
    return request.param, network


def acting(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a quantized layer multiplies by, its channels last; and the latent weights."""
    depthwise = hasattr(layer, "depthwise_kernel")
    latent = layer.depthwise_kernel if depthwise else layer.kernel
    quantizer = layer.depthwise_quantizer_internal if depthwise else layer.kernel_quantizer_internal
    values, latent = np.array(quantizer(latent)), np.array(latent)
    return (values[..., 0], latent[..., 0]) if depthwise else (values, latent)


def test_weights_in_training_are_the_integers_of_the_row(quantized: tuple[Format, Any]) -> None:
    one, network = quantized
    for name in LAYERS:
        values, latent = acting(network.get_layer(name))
        for channel in range(values.shape[-1]):
            levels = np.unique(np.abs(values[..., channel]))
            assert levels.max() > 0, (name, channel)  # a scale of its own: small channels are not all zero
            there = np.unique(np.round(values[..., channel] / levels.max(), 4))  # QKeras adds up in float32
            assert len(there) <= len(one.row.integers)
        error = ((values - latent) ** 2).mean() / (latent**2).mean()
        assert error < 0.5, name  # no worse than the signs of the weights at the best scale, 1 - 2 / pi


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_model_bears_its_formats(quantized: tuple[Format, Any], suffix: str, tmp_path: Path) -> None:
    import keras

    one, network = quantized
    network.save(tmp_path / f"model{suffix}")
    for source in (network, tmp_path / f"model{suffix}"):
        found = {op.name: op.precision for op in read_graph(source).weighted}
        assert [found[name].weights for name in LAYERS] == [one] * 3
    again = keras.models.load_model(tmp_path / f"model{suffix}", compile=False)
    np.testing.assert_array_equal(answers(again, clips()), answers(network, clips()))
    assert again.get_layer("dense").kernel_quantizer_internal.format is one


def test_the_report_counts_the_format(quantized: tuple[Format, Any]) -> None:
    one, network = quantized
    report = profile(network)
    rows = {row.name: row for row in report.rows}
    for name in LAYERS:
        assert rows[name].precision.weights is one
        assert str(one) in repr(report)
    kernel = rows["dense"].parameters - 5
    assert rows["dense"].weights_bytes == -(-kernel * one.bits // 8) + 4 * 5
    text = fragment(report)
    assert str(one) in text
    assert one.row.colour in text


def test_an_image_has_the_format(quantized: tuple[Format, Any], tmp_path: Path) -> None:
    """Integers, file, packed weights, C: all of what the row says; the size is what was estimated before training."""
    one, network = quantized
    integers = integer_network(network)
    check(integers)
    made = {layer.name: layer for layer in integers.layers}
    for name in LAYERS:
        weights, width = made[name].weights, made[name].width
        assert width is one or name == "depthwise", name  # sums of small channels are too coarse in few levels
        assert set(np.unique(weights)) <= set(width.row.integers)
        assert np.array_equal(packing.unpack(packing.pack(weights, width), weights.shape, width), weights)
    save_network(integers, tmp_path / "network.hqn")
    assert digest(load_network(tmp_path / "network.hqn")) == digest(integers)
    estimate = profile(network, accounting="packed")
    sizes = {row.name: row.weights_bytes for row in estimate.rows}
    assert {name: constants_bytes(made[name]) for name in LAYERS} == {name: sizes[name] for name in LAYERS}
    plan = memory_plan(integers)
    assert f"hq_dense_{one.kernels.name}(" in emit(integers, plan)["network.c"]
    assert set(kernel_files(plan)) <= {path.name for path in SOURCES.iterdir()}
    logits = arithmetic.logits(integers, arithmetic.quantized(clips(), integers.input_fraction))
    assert np.mean(logits.argmax(1) == answers(network, clips()).argmax(1)) > 0.9


def test_the_graph_of_a_plan_is_the_graph_of_the_quantized_model(quantized: tuple[Format, Any], model: Any) -> None:
    """What is told before training is what training makes."""
    one, network = quantized
    before = quantized_graph(read_graph(model), planned(one))
    assert {op.name: op.precision.weights for op in before.weighted} == {
        op.name: op.precision.weights for op in read_graph(network).weighted
    }
    by_plan = profile(model, plan=planned(one), accounting="packed")
    by_model = profile(network, accounting="packed")
    assert by_plan.totals.flash_bytes == by_model.totals.flash_bytes


@pytest.mark.parametrize("one", TRAINED, ids=str)
def test_what_to_narrow_is_answered_for_every_format(one: Format, model: Any) -> None:
    start = profile(model, plan=planned(Format.INT8), accounting="packed").totals.flash_bytes
    found = suggest(read_graph(model), start // 2, one, planned(Format.INT8), rules=accounting("packed"))
    assert bool(found.changes) is (one.stored.bits < 8)
    assert str(one) in repr(found)


@pytest.mark.parametrize("one", [one for one in Format if one is not Format.FLOAT32], ids=str)
def test_a_part_that_a_format_cannot_have_is_told_with_those_that_it_can(one: Format, model: Any) -> None:
    for part, quantizer in (("bias", one.row.bias), ("outputs", one.row.outputs)):
        plan = PrecisionPlan.from_data({"dense": {part: one.value}})
        if quantizer:
            quantize(model, plan, {})
        else:
            with pytest.raises(UserError, match=f"dense: {part} cannot be {one} .one of: float32, 8-bit"):
                quantize(model, plan, {})


@pytest.mark.parametrize("one", INTEGERS, ids=str)
def test_rows_hold_together(one: Format) -> None:
    row = one.row
    assert list(row.integers) == sorted(-value for value in row.integers)
    assert len(set(row.integers)) <= 2**row.bits
    assert row.colour not in [other.row.colour for other in Format if other is not one]
    assert bool(row.kernels) == bool(row.bytes_for or row.planes)
    assert not row.planes or set(row.planes) == set(row.integers)
    assert one.stored.holds(row.integers)
    assert holding(one.largest).largest >= one.largest


def test_a_format_without_kernels_is_stored_in_the_next_wider_one_and_the_report_says_so(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, one = planned(Format.INT4), Format.INT4
    trained = quantize(model, plan, calibrated(model, plan, clips()))
    settle(trained)
    network = integer_network(trained)
    logits = arithmetic.logits(network, arithmetic.quantized(clips(), network.input_fraction))
    narrow = profile(model, plan=plan, accounting="packed")
    assert narrow.stored_wider == (("depthwise", "4-bit", "8-bit"),)
    monkeypatch.setattr(one, "row", replace(one.row, kernels=None, bytes_for=None))
    assert one.stored is Format.INT8
    wide = profile(model, plan=plan, accounting="packed")
    assert wide.totals.flash_bytes > narrow.totals.flash_bytes
    sizes = {row.name: row.weights_bytes for row in wide.rows}
    for layer in network.layers:
        if layer.name in LAYERS:
            assert sizes[layer.name] == constants_bytes(replace(layer, width=Format.INT8)) == constants_bytes(layer)
    assert [layer for layer, _, _ in wide.stored_wider] == list(LAYERS)
    assert "conv2d (4-bit, as 8-bit)" in " ".join(repr(wide).split())
    assert "hq_dense_s8(" in emit(network, memory_plan(network))["network.c"]
    weights = network.layers[0].weights
    assert packing.pack(weights, one) == packing.pack(weights, Format.INT8)
    again = arithmetic.logits(network, arithmetic.quantized(clips(), network.input_fraction))
    np.testing.assert_array_equal(again, logits)
