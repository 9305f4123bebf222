"""The integer network computes what the Keras network on grids computes: random networks, and some families."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import answers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridq.integer.arithmetic import classes, computed, every_tensor, quantized
from hybridq.integer.artefact import digest, load_network, save_network
from hybridq.integer.checks import check
from hybridq.integer.convert import settle
from hybridq.integer.figures import chains_of
from hybridq.integer.lowering import integer_network
from hybridq.integer.network import Add, AveragePool, Convolution, MaxPool, Requantization, Weighted
from hybridq.models import build_model
from hybridq.models.config import TCResNetConfig, TENetConfig
from hybridq.precision import PrecisionPlan
from hybridq.quantization.model import calibrated, quantize

WIDTHS = st.sampled_from(["8-bit", "4-bit", "ternary", "binary"])
FUNCTIONS = st.sampled_from(
    ["linear", "relu", "relu6", "elu", "selu", "tanh", "sigmoid", "swish", "gelu", "leaky_relu", "softsign"]
)

BLOCKS = st.lists(st.sampled_from(["conv", "depthwise", "pool", "residual", "norm", "act"]), min_size=1, max_size=4)


class Case(NamedTuple):
    """A network and inputs for it; shown by its layers."""

    model: Any
    clips: Any

    def __repr__(self):
        return " > ".join(layer.name for layer in self.model.layers)


@st.composite
def networks(draw):
    """A small random network of all supported layers on its grids, with random weights, and inputs for it."""
    import keras
    from keras import layers

    keras.backend.clear_session()
    seed = draw(st.integers(0, 10_000))
    keras.utils.set_random_seed(seed)
    shape = (draw(st.integers(5, 9)), draw(st.integers(5, 11)), draw(st.integers(1, 3)))
    plan = {"*": {"outputs": "8-bit"}}

    def weighted(make, kind, x, function, **settings):
        name = f"{kind}_{len(plan)}"
        plan[name] = {"weights": draw(WIDTHS), "outputs": "8-bit"}
        normed = draw(st.booleans())
        after = not normed or draw(st.booleans())  # the batch norm behind the nonlinearity, or before it
        x = make(name=name, activation=function if after else None, **settings)(x)
        x = layers.BatchNormalization(name=f"{name}_norm")(x) if normed else x
        return x if after else layers.Activation(function, name=f"{name}_act")(x)

    inputs = x = keras.Input(shape, name="mfcc")
    for block in draw(BLOCKS):
        small = min(x.shape[1:3]) < 3
        if block == "conv":
            settings = {
                "kernel_size": (1, 1) if small else (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
                "strides": draw(st.sampled_from([1, 1, 2])),
                "padding": draw(st.sampled_from(["same", "valid"])),
                "filters": draw(st.integers(1, 5)),
            }
            x = weighted(layers.Conv2D, "conv", x, draw(FUNCTIONS), **settings)
        elif block == "depthwise":
            x = weighted(layers.DepthwiseConv2D, "depthwise", x, draw(FUNCTIONS), kernel_size=3, padding="same")
        elif block == "pool" and not small:
            x = layers.MaxPooling2D(2)(x)
        elif block == "residual":
            side = weighted(layers.Conv2D, "conv", x, draw(FUNCTIONS), filters=x.shape[-1], kernel_size=1)
            x = layers.Add(name=f"{side._keras_history.operation.name}_add")([x, side])
            x = layers.ReLU(name=f"{x._keras_history.operation.name}_relu")(x) if draw(st.booleans()) else x
        elif block == "norm":
            x = layers.BatchNormalization()(x)
        elif block == "act":
            x = layers.Activation(draw(FUNCTIONS))(x)
    x = layers.GlobalAveragePooling2D()(x) if draw(st.booleans()) else layers.Dropout(0.2)(layers.Flatten()(x))
    if draw(st.booleans()):
        x = weighted(layers.Dense, "dense", x, draw(FUNCTIONS), units=draw(st.integers(1, 6)))
    plan["last"] = {"weights": "8-bit"}
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="last")(x))
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            layer.set_weights([rng.normal(0, 1, n), rng.normal(0, 1, n), rng.normal(0, 1, n), rng.uniform(0.1, 2, n)])
        elif layer.weights:
            layer.set_weights([w if w.ndim > 1 else rng.normal(0, 0.3, w.shape) for w in layer.get_weights()])
    clips = rng.normal(0, draw(st.sampled_from([0.1, 1.0, 30.0])), (8, *shape)).astype(np.float32)
    found = PrecisionPlan.from_data(plan)
    return Case(quantize(model, found, calibrated(model, found, clips)), clips)


def fractions_of(network):
    """The fraction of each tensor by its name."""
    return {network.input_name: network.input_fraction} | {one.name: one.fraction for one in network.layers}


def stored_by_keras(model, network, clips):
    """What the Keras network stores under the names of the integer network, as integers."""
    import keras

    chains = chains_of(model)[:-1]
    ends = {chain.name: model.get_layer(chain.end).output for chain in chains}  # by name: of one, Keras makes no list
    values = keras.Model(model.inputs, ends)(clips, training=False)
    fractions = fractions_of(network)
    found = {}
    for chain in chains:
        whole = np.asarray(values[chain.name]) * 2.0 ** fractions[chain.name]
        np.testing.assert_array_equal(whole, np.rint(whole), err_msg=chain.name)  # it is on the grid
        found[chain.name] = whole.astype(np.int64).reshape(len(clips), *network.shapes[chain.name])
    return found


def keras_logits(model, clips):
    import keras

    probabilities = answers(model, clips)
    kept, model.layers[-1].activation = model.layers[-1].activation, keras.activations.linear
    found = answers(keras.Model(model.inputs, model.layers[-1](model.layers[-1].input)), clips)
    model.layers[-1].activation = kept
    np.testing.assert_array_equal(found.argmax(1), probabilities.argmax(1))
    return found


def near_halves(layer, inputs):
    """Where what a layer rounds lies so near a half that sums in float32 may come to lie on its other side."""
    finer = replace(layer.out, shift=layer.out.shift - 8, low=-(2**40), high=2**40)
    return np.abs(computed(replace(layer, out=finer, table=None, affine=None), inputs) / 2**8 % 1 - 0.5) < 2.0**-5


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(case=networks())
def test_every_layer_makes_what_keras_makes(case):
    """From the same inputs: within one step, and all but a few values (ties in float32) the same."""
    model, clips = case
    settle(model)
    network = integer_network(model)
    check(network)
    stored, fractions = stored_by_keras(model, network, clips), fractions_of(network)
    np.testing.assert_array_equal(quantized(clips, network.input_fraction), stored[network.input_name])
    for layer in network.layers[:-1]:
        made = computed(layer, tuple(stored[name] for name in layer.inputs))
        apart = np.abs(made.reshape(stored[layer.name].shape) - stored[layer.name])
        if isinstance(layer, AveragePool):  # float32(1 / n) takes halves the other way: many of a small map
            exact = stored[layer.inputs[0]].mean((1, 2)) * 2.0 ** (layer.fraction - fractions[layer.inputs[0]])
            assert (np.abs(exact % 1 - 0.5)[apart > 0] < 2.0**-16).all(), layer
        elif isinstance(layer, Weighted):
            elsewhere = (apart > 0) & ~near_halves(layer, tuple(stored[name] for name in layer.inputs))
            through_table = layer.table is not None or layer.affine is not None  # with halves of their own
            assert elsewhere.mean() < (0.02 if through_table else 1e-9), layer
        if isinstance(layer, Add | MaxPool):
            assert not apart.any()
        elif getattr(layer, "table", None) is None and getattr(layer, "affine", None) is None:
            assert apart.max() <= 1, layer
    last = network.layers[-1]
    made = computed(last, (stored[last.inputs[0]],)) * 2.0**-last.fraction
    np.testing.assert_allclose(made, keras_logits(model, clips), atol=1.01 * 2.0**-last.fraction, rtol=1e-5)


@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(case=networks())
def test_a_network_survives_its_file_and_a_saved_model(case, tmp_path_factory):
    import keras

    model, clips = case
    folder = tmp_path_factory.mktemp("network")
    settle(model)
    network = integer_network(model)
    sha = save_network(network, folder / "network.hqn")
    again = load_network(folder / "network.hqn")
    assert digest(again) == digest(network) == sha
    inputs = quantized(clips, network.input_fraction)
    for name, values in every_tensor(network, inputs).items():
        np.testing.assert_array_equal(values, every_tensor(again, inputs)[name])
    model.save(folder / "model.keras")
    assert digest(integer_network(keras.models.load_model(folder / "model.keras", compile=False))) == sha


@pytest.mark.parametrize(
    ("config", "first", "narrow", "adds"),
    [
        (TCResNetConfig(channels=(8, 12, 12)), "conv1d", "conv1d_2", 2),
        (TENetConfig(first=8, channels=(8, 12), blocks=(1, 2)), "first", "block_2_expand", 3),
    ],
    ids=["tc_resnet", "tenet"],
)
def test_a_residual_network_along_time_is_an_integer_network(config, first, narrow, adds):
    import keras

    keras.utils.set_random_seed(0)
    model = build_model(config, (38, 55), 4)
    clips = np.random.default_rng(0).standard_normal((40, 38, 55, 1)).astype(np.float32)
    plan = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}, narrow: "ternary"})
    quantized_model = quantize(model, plan, calibrated(model, plan, clips))
    settle(quantized_model)
    network = integer_network(quantized_model)
    check(network)
    assert network.shapes[first] == (1, 55, 8)
    assert sum(isinstance(layer, Add) for layer in network.layers) == adds
    heard = answers(quantized_model, clips).argmax(1)
    assert (classes(network, quantized(clips, network.input_fraction)) == heard).mean() >= 0.95


@pytest.mark.parametrize("inputs", [100, 200])
def test_the_sums_of_a_convolution_are_exact_also_beyond_2_to_the_24(inputs):
    """Where floats of 32 bits would lose the last bit, which decides here."""
    weights = np.full((3, 3, inputs, 2), 127)
    weights[1, 1, 0] = 126  # so that the sum is odd
    clip = np.full((1, 3, 3, inputs), -127)
    total = -127 * weights[..., 0].sum()
    assert (-total > 2**24) == (inputs == 200)
    halves = Requantization(np.full(1, 2**31 - 1), np.full(1, 0))
    bias = np.array([40, 41]) - total  # one less, or one more, and the half of one of them would be another
    layer = Convolution("c", ("x",), (1, 1, 2), 0, weights=weights, bias=bias, out=halves)
    np.testing.assert_array_equal(computed(layer, (clip,)), [[[[20, 20]]]])


@pytest.mark.parametrize("width", ["4-bit", "ternary", "binary"])
def test_dense_weights_coarser_than_their_results_stay_narrow(width):
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 1, 1), name="mfcc")
    x = layers.Dense(12, use_bias=False, name="dense")(layers.Flatten(name="flatten")(inputs))
    x = layers.BatchNormalization(name="norm", gamma_initializer=keras.initializers.Constant(9.0))(x)
    x = layers.Dense(3, activation="softmax", name="last")(layers.ReLU(name="relu")(x))
    clips = np.random.default_rng(0).standard_normal((40, 8, 1, 1)).astype(np.float32)
    plan = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}, "dense": width})
    model = quantize(keras.Model(inputs, x), plan)
    settle(model)
    network = integer_network(model)
    check(network)
    dense = network.layers[0]
    assert dense.out.doublings > 0
    assert dense.width.bits == {"4-bit": 4, "ternary": 2, "binary": 1}[width]
    found = every_tensor(network, quantized(clips, network.input_fraction))["dense"]
    np.testing.assert_array_equal(
        found.reshape(40, -1), stored_by_keras(model, network, clips)["dense"].reshape(40, -1)
    )


@pytest.mark.parametrize(
    ("behind", "steps"),
    [
        (["relu", "norm", "relu"], ["CGNG", "CG", "CG", ""]),  # the second ReLU has no place behind the norm
        (["threshold"], ["GFG", "CG", ""]),  # no mere bound: it reads what is stored
        (["norm", "relu"], ["NCG", "CG", ""]),
        (["operation"], ["GFG", "CG", ""]),
        (["tanh", "norm", "threshold"], ["GFGNG", "GFG", "CG", ""]),
    ],
)
def test_a_tensor_is_stored_where_a_step_cannot_go_on(behind, steps):
    """Grids stand where the conversion needs them, whatever follows whatever; a mean takes up the ReLU behind it."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    makers = {
        "relu": layers.ReLU,
        "norm": layers.BatchNormalization,
        "threshold": lambda: layers.ReLU(threshold=0.5),
        "tanh": lambda: layers.Activation("tanh"),
        "operation": lambda: keras.ops.tanh,
    }
    inputs = x = keras.Input((6, 5, 2), name="mfcc")
    x = layers.Conv2D(4, 3, name="conv")(x)
    for one in behind:
        x = makers[one]()(x)
    x = layers.ReLU()(layers.GlobalAveragePooling2D(name="mean")(x))
    x = layers.Dense(3, activation="softmax", name="last")(x)
    clips = np.random.default_rng(0).standard_normal((40, 6, 5, 2)).astype(np.float32)
    plan = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})
    float_model = keras.Model(inputs, x)
    model = quantize(float_model, plan, calibrated(float_model, plan, clips))
    settle(model)
    assert [chain.word for chain in chains_of(model)][1:] == steps
    network = integer_network(model)
    check(network)
    found = every_tensor(network, quantized(clips, network.input_fraction))
    for name, stored in stored_by_keras(model, network, clips).items():
        assert np.abs(found[name].reshape(stored.shape) - stored).max() <= 1, name
