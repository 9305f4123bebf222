"""The reference network, and a plan laid upon it."""

import functools

import numpy as np
import pytest
from conftest import answers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.kinds import RECURRENT, kind_of
from hybridq.models import build_model
from hybridq.models.config import ReferenceConfig, TCResNetConfig, TENetConfig
from hybridq.models.hello_edge import CRNNConfig, GRUConfig, LSTMConfig
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile
from hybridq.quantization.model import (
    best_fraction,
    calibrated,
    copy_weights,
    is_grid,
    quantizable,
    quantize,
)

HYBRID = PrecisionPlan.from_data({"conv2d*": "8-bit", "dense*": "binary", "dense_2": "8-bit"})


@functools.cache
def network(**config):
    """A reference network, made once: nothing here changes its weights."""
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    return build_model(ReferenceConfig(**config), (38, 55), 10)


def inputs(count=4):
    return np.random.default_rng(0).standard_normal((count, 38, 55, 1)).astype(np.float32)


def effective_weights(layer):
    return np.array(layer.kernel_quantizer_internal(layer.kernel))


@pytest.mark.parametrize(
    ("config", "flat", "trained"),
    [({"padding": "same", "norm": "after_pool"}, 7488, 555_898), ({"padding": "valid"}, 768, 125_818)],
)
def test_the_reference_network_has_the_published_size(config, flat, trained):
    """Kernels and biases as paper-derived: the batch norms come on top."""
    model = network(**config)
    assert model.input_shape == (None, 38, 55, 1)
    assert model.get_layer("dense").kernel.shape == (flat, 64)
    weights = [w for name in quantizable(model) for w in model.get_layer(name).get_weights()]
    assert sum(w.size for w in weights) == trained
    names = [f"conv2d{s}" for s in ("", "_1", "_2", "_3", "_4", "_5")] + ["dense", "dense_1", "dense_2"]
    assert quantizable(model) == names


@pytest.mark.parametrize(
    ("channels", "thousands"),
    [((16, 24, 32, 48), 66), ((16, 24, 24, 32, 32, 48, 48), 137), ((24, 36, 36, 48, 48, 72, 72), 305)],
)
def test_tc_resnet_has_the_published_size(channels, thousands):
    """TC-ResNet8, TC-ResNet14 and TC-ResNet14-1.5 of arXiv 1904.03814, table 1: 40 coefficients, twelve classes."""
    model = build_model(TCResNetConfig(channels=channels), (40, 98), 12)
    assert round(model.count_params() / 1000) == thousands


@pytest.mark.parametrize(("channels", "blocks", "thousands"), [(16, 2, 17), (32, 4, 100)])
def test_tenet_has_the_published_size(channels, blocks, thousands):
    """TENet6-narrow and TENet12 of arXiv 2010.09960: 17K and 100K parameters."""
    config = TENetConfig(first=channels, channels=(channels,) * 3, blocks=(blocks,) * 3)
    model = build_model(config, (40, 98), 12)
    assert model.count_params() / 1000 == pytest.approx(thousands, rel=0.04)


def test_maps_that_shrink_to_nothing_are_refused():
    with pytest.raises(UserError, match="20 coefficients are too few"):
        build_model(ReferenceConfig(), (20, 55), 10)


def test_a_hybrid_plan_makes_qkeras_layers_with_the_float_weights():
    model = network()
    hybrid = quantize(model, HYBRID)
    kinds = {layer.name: type(layer).__name__ for layer in hybrid.layers if layer.name in quantizable(model)}
    assert set(kinds.values()) == {"QConv2D", "QDense"}
    for layer in model.layers:
        for ours, theirs in zip(hybrid.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=6, deadline=None)
@given(precision=st.sampled_from([p for p in Format if p is not Format.FLOAT32]))
def test_the_weights_that_act_have_no_more_levels_than_their_bits(precision):
    quantized = quantize(network(), PrecisionPlan.from_data({"conv2d_5": str(precision), "dense": str(precision)}))
    for name in ("conv2d_5", "dense"):
        acting = effective_weights(quantized.get_layer(name))
        for channel in range(acting.shape[-1]):
            levels = np.unique(acting[..., channel])
            assert 2 <= len(levels) <= {"ternary": 3}.get(precision.value, 2**precision.bits)
    assert type(quantized.get_layer("conv2d")).__name__ == "Conv2D"


def test_eight_bits_are_close_to_float_and_one_bit_is_not():
    model, x = network(), inputs()
    float_out = answers(model, x)
    eight = answers(quantize(model, PrecisionPlan.from_data({"*": "8-bit"})), x)
    one = answers(quantize(model, PrecisionPlan.from_data({"*": "binary"})), x)
    assert np.abs(eight - float_out).max() < 0.02
    assert np.abs(one - float_out).max() > np.abs(eight - float_out).max()


def test_bias_and_outputs_are_quantized_where_the_plan_says():
    plan = PrecisionPlan.from_data({"conv2d": {"weights": "8-bit", "bias": "8-bit", "outputs": "8-bit"}})
    quantized = quantize(network(), plan)
    layers = [layer.name for layer in quantized.layers]
    first = layers.index("conv2d") + 1  # what the nonlinearity reads is stored too
    assert layers[first : first + 3] == ["conv2d_sums", "conv2d_function", "conv2d_outputs"]
    import keras

    outputs = answers(keras.Model(quantized.input, quantized.get_layer("conv2d_outputs").output), inputs())
    assert len(np.unique(outputs)) <= 256


@given(
    values=st.lists(st.floats(-300, 300, width=32), min_size=1, max_size=30),
    fraction=st.integers(-6, 20),
)
@example([-128.0, -127.5, -0.5, 0.5, 126.5, 127.0, 127.25], 0)
def test_a_grid_rounds_halves_up_clips_to_int8_and_passes_gradients_inside(values, fraction):
    import tensorflow as tf

    from hybridq.quantization.quantizers import Grid

    def gone_through(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = Grid(fraction)(x)
        return y, np.array(tape.gradient(y, x))

    y, gradient = gone_through(tf.constant(values))
    other = gone_through(tf.constant(values, tf.float64))  # composed of Keras's operations, as on other backends
    np.testing.assert_array_equal(gradient, other[1])
    whole = np.array(values, np.float32) * np.float32(2.0**fraction)
    np.testing.assert_array_equal(y * 2.0**fraction, np.clip(np.floor(whole + np.float32(0.5)), -128, 127))
    assert (gradient[(whole > -128) & (whole < 127)] == 1).all()
    assert (gradient[(whole < -128) | (whole > 127)] == 0).all()


def test_a_plan_that_names_all_outputs_puts_a_grid_wherever_a_tensor_is_stored():
    plan = PrecisionPlan.from_data({"*": {"outputs": "8-bit"}, "conv2d*": "8-bit"})
    model = network()
    fractions = calibrated(model, plan, inputs(16))
    quantized = quantize(model, plan, fractions)
    grids = [layer.name for layer in quantized.layers if is_grid(layer)]
    assert grids == list(fractions)
    assert {"input_outputs", "conv2d_sums", "conv2d_outputs", "batch_normalization_outputs"} <= set(grids)
    # folded into the convolution before it; kept by what makes no new values; logits
    for name in ("conv2d_5_outputs", "max_pooling2d_outputs", "flatten_outputs", "dropout_outputs", "dense_2_outputs"):
        assert name not in grids
    assert {layer.activation.fraction for layer in quantized.layers if is_grid(layer)} == set(fractions.values())
    assert np.abs(answers(quantized, inputs()) - answers(model, inputs())).max() < 0.1


def test_a_relu_has_the_grid_of_what_it_bounds():
    quantized = quantize(network(activation="relu"), PrecisionPlan.from_data({"*": {"outputs": "8-bit"}}))
    names = [layer.name for layer in quantized.layers]
    assert "conv2d_sums" not in names
    assert "batch_normalization_5_outputs" not in names
    assert {"conv2d_outputs", "conv2d_5_activation_outputs"} <= set(names)


@given(values=st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=200))
def test_the_best_grid_is_no_worse_than_its_neighbours(values):
    def error(fraction):
        x = np.array(values)
        return np.mean((np.clip(np.floor(x * 2.0**fraction + 0.5), -128, 127) * 2.0**-fraction - x) ** 2)

    found = best_fraction(np.array(values, np.float32))
    assert error(found) <= min(error(found - 1), error(found + 1)) + 1e-12


@pytest.mark.parametrize("precision", ["8-bit", "4-bit", "ternary", "binary"])
def test_each_channel_of_a_depthwise_layer_has_a_scale_of_its_own(tmp_path, precision):
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, keras.layers.DepthwiseConv2D(3, name="depthwise")(inputs))
    layer = model.get_layer("depthwise")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * np.array([1.0, 0.1, 0.01])[:, None], bias])
    quantized = quantize(model, PrecisionPlan.from_data({"depthwise": precision}))
    quantized.save(tmp_path / "model.keras")
    for one in (quantized, keras.models.load_model(tmp_path / "model.keras", compile=False)):
        found = one.get_layer("depthwise")
        acting = np.array(found.depthwise_quantizer_internal(found.depthwise_kernel))[..., 0]
        largest = np.abs(acting).max((0, 1))
        assert largest[0] > 3 * largest[1] > 9 * largest[2] > 0


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_saved_hybrid_network_loads_with_plain_keras(tmp_path, suffix):
    import keras

    hybrid = quantize(network(), HYBRID)
    hybrid.save(tmp_path / f"model{suffix}")
    again = keras.models.load_model(tmp_path / f"model{suffix}")
    np.testing.assert_array_equal(answers(hybrid, inputs()), answers(again, inputs()))


def test_faults_of_a_plan_are_named():
    with pytest.raises(UserError, match=r"'dens\*_3' matches no layer; the nearest layer is 'dense_"):
        quantize(network(), PrecisionPlan.from_data({"dens*_3": "binary"}))
    with pytest.raises(UserError, match="conv2d: bias cannot be binary"):
        quantize(network(), PrecisionPlan.from_data({"conv2d": {"bias": "binary"}}))
    with pytest.raises(UserError, match="did you mean 'binary'"):
        PrecisionPlan.from_data({"conv2d": "binery"})
    with pytest.raises(UserError, match="layer 'dense' has weights"):
        copy_weights(network(padding="same"), network(padding="valid"))


@given(
    st.dictionaries(
        st.sampled_from(["conv*", "dense*", "*", "dense_2", "conv2d_1"]),
        st.dictionaries(
            st.sampled_from(["weights", "bias", "outputs"]),
            st.sampled_from([p.value for p in Format]),
            min_size=1,
        ),
    )
)
def test_a_plan_is_plain_data_and_its_last_rule_wins(data):
    plan = PrecisionPlan.from_data(data)
    assert plan.to_data() == data
    assert list(plan.to_data()) == list(data)
    for part in ("weights", "bias", "outputs"):
        said = [
            parts[part] for pattern, parts in data.items() if pattern in ("dense*", "*", "dense_2") and part in parts
        ]
        assert getattr(plan.of("dense_2"), part).value == (said[-1] if said else "float32")


def matrices(layer):
    """Those of a quantized recurrent layer, as a step uses them and as they are trained."""
    cell = layer.cell
    if type(layer).__name__ == "QProjectedLSTM":
        kernel, recurrent, _, _, project = cell.acting()
        return (kernel, recurrent, project), (cell.kernel, cell.recurrent, cell.project)
    latent = (cell.kernel, cell.recurrent_kernel)
    return (cell.kernel_quantizer_internal(latent[0]), cell.recurrent_quantizer_internal(latent[1])), latent


@pytest.mark.parametrize(
    "config",
    [
        *(LSTMConfig(units=6), LSTMConfig(units=6, projection=4)),
        *(GRUConfig(units=6), CRNNConfig(filters=4, units=(6, 5))),
    ],
)
def test_recurrent_layers_are_quantized_in_both_kernels(config, tmp_path):
    """Eight bits of weights change little; the report sees them, and the saved network is the same."""
    import keras

    model = build_model(config, (10, 11), 3)
    plan = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})
    x = np.random.default_rng(0).standard_normal((4, 10, 11, 1)).astype(np.float32)
    quantized = quantize(model, plan, calibrated(model, plan, x))
    heard = answers(quantized, x)
    assert np.abs(heard - answers(model, x)).max() < 0.05
    recurrent = [layer for layer in model.layers if kind_of(type(layer).__name__).quantizers == RECURRENT]
    assert recurrent
    for layer in (quantized.get_layer(one.name) for one in recurrent):
        assert type(layer).__name__.startswith("Q")
        acting, latent = matrices(layer)
        assert not any(np.array_equal(one, other) for one, other in zip(acting, latent, strict=True))
    kinds = {row.kind: row.precision.weights for row in profile(quantized).rows if row.precision}
    assert set(kinds.values()) == {Format.INT8}
    quantized.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(answers(again, x), heard)
