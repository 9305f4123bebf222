"""Layers of Keras that pool, join, move and stretch: as integers what Keras computes, and the same in C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from network_runs import expected, machine

from hybridq.errors import UserError
from hybridq.graph.instead import INSTEAD, no_lambda
from hybridq.graph.kinds import of_form
from hybridq.graph.reader import read_graph
from hybridq.image.constants import constants_bytes
from hybridq.image.memory_plan import plan as planned
from hybridq.integer.answers import answers
from hybridq.integer.arithmetic import computed, quantized
from hybridq.integer.artefact import digest, load_network, save_network
from hybridq.integer.checks import check
from hybridq.integer.convert import settle
from hybridq.integer.figures import chains_of
from hybridq.integer.fusion import WORDS, structure
from hybridq.integer.lowering import integer_network
from hybridq.integer.network import IntegerNetwork, Weighted
from hybridq.integer.skeleton import outline
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile
from hybridq.quantization.graph import quantized_graph
from hybridq.quantization.model import calibrated, quantize

PLAN = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})
Body = Callable[[Any, Any], Any]  # of a map and keras.layers


def called_twice(x: Any, layers: Any) -> Any:
    """A convolution, its function and a batch norm, each called twice: of the second call with a grid of its own."""
    shared, norm, act = (
        layers.Conv2D(6, 3, padding="same", activation="elu"),
        layers.BatchNormalization(),
        layers.ReLU(),
    )
    y = act(norm(shared(x)))
    return layers.Concatenate()([act(layers.Add()([shared(y), x])), y])


def separable_twice(x: Any, layers: Any) -> Any:
    shared = layers.SeparableConv2D(6, 3, padding="same", activation="relu")
    return shared(shared(x))


def conv(x: Any, layers: Any, channels: int = 6, name: str | None = None) -> Any:
    return layers.Conv2D(channels, 3, padding="same", activation="relu", name=name)(x)


def squeezed(x: Any, layers: Any) -> Any:
    """Each channel times a share of it, as in MobileNetV3."""
    shares = layers.Dense(6, activation="hard_sigmoid")(layers.GlobalAveragePooling2D()(x))
    return layers.Multiply()([layers.Reshape((1, 1, 6))(shares), x])


IMAGES: dict[str, Body] = {
    "mean of windows": lambda x, layers: layers.AveragePooling2D((2, 3), strides=(2, 1))(x),
    "mean with padding": lambda x, layers: layers.AveragePooling2D(3, strides=2, padding="same")(x),
    "maximum with padding": lambda x, layers: layers.MaxPooling2D(3, strides=2, padding="same")(x),
    "zeros before a convolution": lambda x, layers: layers.Conv2D(4, 3, strides=2)(
        layers.ZeroPadding2D(((0, 1), (1, 2)))(x)
    ),
    "zeros before a pool": lambda x, layers: layers.AveragePooling2D(2)(layers.ZeroPadding2D(1)(x)),
    "cropped": lambda x, layers: layers.Cropping2D(((1, 2), (0, 1)))(x),
    "difference": lambda x, layers: layers.ReLU()(layers.Subtract()([x, layers.Conv2D(6, 1)(x)])),
    "product": lambda x, layers: layers.Multiply()([x, layers.Conv2D(6, 1, activation="tanh")(x)]),
    "each channel times": squeezed,
    "each place times": lambda x, layers: layers.Multiply()([x, layers.Conv2D(1, 1, activation="sigmoid")(x)]),
    "side by side": lambda x, layers: layers.BatchNormalization()(
        layers.Concatenate()([x, layers.Conv2D(3, 1)(x), layers.MaxPooling2D(3, 1, padding="same")(x)])
    ),
    "sum of three": lambda x, layers: layers.ReLU()(
        layers.Add()([x, layers.Conv2D(6, 1)(x), layers.Conv2D(6, 3, padding="same")(x)])
    ),
    "dilated": lambda x, layers: layers.Conv2D(4, 3, dilation_rate=(2, 1), padding="same", activation="relu")(x),
    "dilated by channel": lambda x, layers: layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")(x),
    "two of each channel": lambda x, layers: layers.BatchNormalization()(
        layers.DepthwiseConv2D(3, depth_multiplier=2, activation="elu")(x)
    ),
    "separable": lambda x, layers: layers.BatchNormalization()(
        layers.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2, activation="relu")(x)
    ),
    "larger": lambda x, layers: conv(layers.UpSampling2D((2, 3))(x), layers, 3),
    "transposed": lambda x, layers: layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(x),
    "transposed, few": lambda x, layers: layers.Conv2DTranspose(4, (2, 3), strides=(3, 2))(x),
    "transposed, many": lambda x, layers: layers.ReLU()(
        layers.BatchNormalization()(layers.Conv2DTranspose(3, 4, strides=2, padding="same", use_bias=False)(x))
    ),
    "transposed in place": lambda x, layers: layers.Conv2DTranspose(4, 3, padding="same")(x),
    "a row as a map": lambda x, layers: conv(
        layers.Reshape((4, 3, 2))(layers.Dense(24, activation="relu")(layers.Flatten()(x))), layers
    ),
    "another map": lambda x, layers: conv(layers.Reshape((4, 14, 6))(x), layers),
    "slopes by channel": lambda x, layers: layers.PReLU(shared_axes=[1, 2], alpha_initializer="he_normal")(
        layers.Conv2D(5, 3)(x)
    ),
    "one slope": lambda x, layers: layers.PReLU(shared_axes=[1, 2, 3], alpha_initializer="he_normal")(x),
    "leaky": lambda x, layers: layers.LeakyReLU(negative_slope=0.1)(layers.Conv2D(5, 3)(x)),
    "hard swish": lambda x, layers: layers.Activation("hard_silu")(layers.Conv2D(5, 3)(x)),
    "hard sigmoid": lambda x, layers: layers.Conv2D(5, 3, activation="hard_sigmoid")(x),
    "called twice": called_twice,
    "separable, called twice": separable_twice,
    "a row normalised": lambda x, layers: layers.Activation("tanh")(layers.BatchNormalization()(layers.Flatten()(x))),
    "a row through a table": lambda x, layers: layers.ELU()(
        layers.Add()([layers.Dense(5)(layers.Flatten()(x)), layers.Dense(5)(layers.Flatten()(x))])
    ),
    "rows side by side": lambda x, layers: layers.Concatenate()(
        [layers.Flatten()(x), layers.GlobalMaxPooling2D()(x), layers.Dense(3)(layers.Flatten()(x))]
    ),
}
SEQUENCES: dict[str, Body] = {
    "mean of windows": lambda x, layers: layers.AveragePooling1D(3, strides=2, padding="same")(x),
    "maximum with padding": lambda x, layers: layers.MaxPooling1D(3, strides=2, padding="same")(x),
    "zeros": lambda x, layers: layers.Conv1D(4, 3)(layers.ZeroPadding1D((2, 1))(x)),
    "cropped": lambda x, layers: layers.Cropping1D((1, 2))(x),
    "causal": lambda x, layers: layers.Add()(
        [layers.Conv1D(6, 3, padding="causal", dilation_rate=4, activation="relu")(x), x]
    ),
    "separable": lambda x, layers: layers.SeparableConv1D(5, 3, padding="same")(x),
    "by channel": lambda x, layers: layers.DepthwiseConv1D(3, depth_multiplier=2)(x),
    "larger": lambda x, layers: layers.Conv1D(4, 3)(layers.UpSampling1D(2)(x)),
    "transposed": lambda x, layers: layers.Conv1DTranspose(4, 3, strides=2, padding="same")(x),
    "side by side": lambda x, layers: layers.Concatenate()([x, layers.Conv1D(3, 1)(x)]),
    "each channel times": lambda x, layers: layers.Multiply()(
        [x, layers.Dense(6, activation="sigmoid")(layers.GlobalAveragePooling1D()(x))]
    ),
}
CASES = [((8, 7, 2), name, body) for name, body in IMAGES.items()]
CASES += [((12, 3), name, body) for name, body in SEQUENCES.items()]


def network(shape: tuple[int, ...], body: Body) -> Any:
    """A convolution, the layers to try, and a dense layer behind them."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    inputs = keras.Input(shape, name="image")
    first = layers.Conv2D if len(shape) == 3 else layers.Conv1D
    x = first(6, 3, padding="same", activation="relu", name="first")(inputs)
    x = layers.Flatten(name="flat")(body(x, layers))
    return keras.Model(inputs, layers.Dense(3, name="last")(x), name="small")


def examples(shape: tuple[int, ...], count: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32)


def stored_by_keras(model: Any, network: IntegerNetwork, x: np.ndarray) -> dict[str, np.ndarray]:
    """What the Keras network stores under the names of the integer network, as integers."""
    import keras

    there = {layer.name for layer in model.layers}  # rows of zeros, and rows as maps, are no layers of Keras
    kept = [chain for chain in chains_of(model) if not chain.wide and chain.end in there]
    ends = {chain.name: model.get_layer(chain.end).output for chain in kept}
    values = keras.Model(model.inputs, ends)(x, training=False)
    fractions = {network.input_name: network.input_fraction} | {one.name: one.fraction for one in network.layers}
    shapes = network.shapes
    return {
        name: np.rint(np.asarray(values[name]) * 2.0 ** fractions[name]).astype(np.int64).reshape(-1, *shapes[name])
        for name in ends
    }


@pytest.mark.parametrize(("shape", "name", "body"), CASES, ids=[f"{len(s)}: {name}" for s, name, _ in CASES])
def test_a_layer_is_what_keras_makes(shape: tuple[int, ...], name: str, body: Body, tmp_path: Any) -> None:
    model = network(shape, body)
    before = outline(structure(quantized_graph(read_graph(model), PLAN)))
    on_grids = quantize(model, PLAN, calibrated(model, PLAN, examples(shape)))
    settle(on_grids)
    integers = integer_network(on_grids)
    check(integers)
    kinds = [(type(layer), layer.name, layer.inputs, layer.shape) for layer in integers.layers]
    assert kinds == [(type(layer), layer.name, layer.inputs, layer.shape) for layer in before.layers]
    sha = save_network(integers, tmp_path / "network.hqn")
    assert digest(load_network(tmp_path / "network.hqn")) == sha
    x = examples(shape, 12, seed=1)
    inputs = quantized(x, integers.input_fraction).reshape(-1, *integers.input_shape)
    stored = stored_by_keras(on_grids, integers, x)
    in_float32 = {op.name for op in read_graph(on_grids).operators if op.kernel and op.precision is None}
    for layer in integers.layers[:-1]:
        made = computed(layer, tuple(stored[one] for one in layer.inputs)).reshape(len(x), *layer.shape)
        if layer.name not in stored:
            stored[layer.name] = made
            continue
        apart = np.abs(made - stored[layer.name])
        through_table = isinstance(layer, Weighted) and (layer.table is not None or layer.affine is not None)
        assert apart.max() <= 1 or through_table, layer
        # Halves in float32; of kernels that no plan quantizes the rounding to 8 bits.
        assert (apart > 0).mean() < (0.1 if layer.name in in_float32 else 0.02), layer
    assert np.array_equal(machine("here").answers(integers, inputs), expected(integers, inputs))
    report = profile(model, plan=PLAN, accounting="packed")
    assert not report.no_image
    assert report.totals.activations_bytes == planned(integers).arena_bytes
    assert report.totals.flash_bytes == sum(map(constants_bytes, integers.layers))


@pytest.mark.parametrize("width", ["4-bit", "2-bit", "ternary", "binary"])
def test_layers_of_narrow_weights(width: str) -> None:
    """Dilated, transposed, separable, several of each channel, and at the end int16 of a map."""

    def body(x: Any, layers: Any) -> Any:
        x = layers.Conv2D(5, 3, dilation_rate=2, padding="same", activation="relu", name="dilated")(x)
        x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="transposed")(x)
        x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="two_of_each")(x)
        return layers.SeparableConv2D(3, 3, activation="relu", name="separable")(x)

    import keras

    model = network((8, 7, 2), body)
    middle = keras.Model(model.inputs, model.get_layer("separable").output)
    outputs = keras.layers.Conv2D(2, 3, padding="same", name="map")(middle.output)
    model = keras.Model(model.inputs, outputs)
    wanted = {"*": {"outputs": "8-bit"}, "[!f]*": {"weights": width, "outputs": "8-bit"}}
    narrow = PrecisionPlan.from_data(wanted)
    on_grids = quantize(model, narrow, calibrated(model, narrow, examples((8, 7, 2))))
    settle(on_grids)
    integers = integer_network(on_grids)
    check(integers)
    bits = {layer.name: layer.width.bits for layer in integers.layers if isinstance(layer, Weighted)}
    named = PrecisionPlan.from_data(wanted | {"separable_depthwise": {"weights": "8-bit", "outputs": "8-bit"}})
    assert not profile(model, plan=named, accounting="packed").no_image  # a part is named as a layer is
    assert set(bits) == {"first", "dilated", "transposed", "two_of_each", "separable_depthwise", "separable", "map"}
    x = examples((8, 7, 2), 12, seed=1)
    inputs = quantized(x, integers.input_fraction)
    real, (made,) = np.asarray(on_grids(x, training=False)), answers(integers, inputs)
    assert np.abs(made - real).max() < 0.1 * np.abs(real).max()
    assert np.array_equal(machine("here").answers(integers, inputs), expected(integers, inputs))


REFUSED: dict[str, tuple[Body, str]] = {
    "groups": (lambda x, layers: layers.Conv2D(4, 3, groups=2)(x), "2 groups have no form in integers; take a depth"),
    "bilinear": (lambda x, layers: layers.UpSampling2D(2, interpolation="bilinear")(x), "only interpolation='nearest'"),
    "slopes by place": (lambda x, layers: layers.PReLU()(x), r"give it shared_axes=\[1, 2\]"),
    "joined rows": (lambda x, layers: layers.Concatenate(axis=1)([x, x]), "along their channels, the last axis"),
    "further padding": (
        lambda x, layers: layers.Conv2DTranspose(4, 3, strides=2, output_padding=1)(x),
        "output_padding has no form in integers; leave it out",
    ),
    "sum that broadcasts": (
        lambda x, layers: layers.Add()([x, layers.Conv2D(1, 1)(x)]),
        "it must add tensors of one shape",
    ),
    "layer norm": (
        lambda x, layers: layers.LayerNormalization()(x),
        "LayerNormalization layers have no form in integers; take BatchNormalization",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_is_named_before_a_training(name: str) -> None:
    body, message = REFUSED[name]
    graph = quantized_graph(read_graph(network((8, 7, 2), body)), PLAN)
    with pytest.raises(UserError, match=message):
        outline(structure(graph))


def test_what_stands_in_for_a_layer_is_said_of_those_that_have_no_form() -> None:
    assert not INSTEAD.keys() & of_form(*WORDS)


def test_a_function_as_a_layer_is_refused_in_the_same_words_everywhere() -> None:
    def double(x: Any) -> Any:
        return 2 * x

    model = network((8, 7, 2), lambda x, layers: layers.Lambda(double, output_shape=(8, 7, 2), name="own")(x))
    assert profile(model, plan=PLAN, accounting="packed").no_image == no_lambda("own")
