"""Models as people have them: sequential, nested, with an input of no name, of QKeras' own quantizers, from a file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hybridq.backend.tensorflow import load_qkeras
from hybridq.errors import UserError
from hybridq.integer import arithmetic
from hybridq.integer.convert import convert
from hybridq.integer.description import Description
from hybridq.precision import PrecisionPlan
from hybridq.quantization.functional import functional
from hybridq.quantization.load_model import load_model
from hybridq.quantization.model import calibrated, quantize

SHAPE = (8, 8, 1)
PLAN = PrecisionPlan.from_data({"*conv": "8-bit", "*dense": "binary", "*": {"outputs": "8-bit"}})


@pytest.fixture(scope="module")
def inputs() -> Any:
    return np.random.default_rng(0).normal(size=(20, *SHAPE)).astype(np.float32)


def layers() -> list[Any]:
    from keras import layers

    return [
        layers.Conv2D(4, 3, name="conv"),
        layers.ReLU(name="relu"),
        layers.Flatten(name="flatten"),
        layers.Dense(3, name="dense"),
    ]


def chained(tensor: Any, some: list[Any]) -> Any:
    for layer in some:
        tensor = layer(tensor)
    return tensor


def sequential() -> Any:
    import keras

    return keras.Sequential([keras.Input(SHAPE), *layers()])


def no_name() -> Any:
    import keras

    tensor = keras.Input(SHAPE)
    return keras.Model(tensor, chained(tensor, layers()))


def nested() -> Any:
    import keras

    conv, relu, flatten, dense = layers()
    inside = keras.Sequential([keras.Input(SHAPE), conv, relu], name="inside")
    tensor = keras.Input(SHAPE, name="picture")
    return keras.Model(tensor, dense(flatten(inside(tensor))))


def nested_deeper() -> Any:
    import keras

    model = nested()
    outer = keras.Input(SHAPE)
    return keras.Model(outer, model(outer))


@pytest.mark.parametrize("build", [sequential, no_name, nested, nested_deeper])
def test_any_form_of_a_model_becomes_an_integer_network(build: Any, inputs: Any) -> None:
    model = build()
    flat = functional(model)
    assert np.array_equal(np.asarray(flat(inputs)), np.asarray(model(inputs)))
    quantized = quantize(flat, PLAN, calibrated(flat, PLAN, inputs))
    network = convert(quantized, Description())
    logits = arithmetic.logits(network, arithmetic.quantized(inputs, network.input_fraction))
    assert np.abs(logits * 2.0 ** -network.layers[-1].fraction - np.asarray(quantized(inputs))).max() < 0.02


def qkeras_model(relu: str) -> Any:
    import keras

    qkeras = load_qkeras()
    keras.utils.set_random_seed(0)
    given = keras.Input(SHAPE)
    weights = {"kernel_quantizer": "quantized_bits(8,0,1,alpha=1)", "bias_quantizer": "quantized_bits(8,3,1)"}
    x = qkeras.QActivation("quantized_bits(8,3,1)", name="in8")(given)
    x = qkeras.QConv2D(4, 3, **weights, name="conv")(x)
    x = keras.layers.Flatten(name="flatten")(qkeras.QActivation(relu, name="act")(x))
    x = qkeras.QDense(5, **weights, activation=relu, name="dense")(x)
    return keras.Model(given, qkeras.QDense(3, kernel_quantizer="binary(alpha=1)", name="last")(x))


@pytest.mark.parametrize(("relu", "step"), [("quantized_relu(7,3)", 2.0**-4), ("quantized_relu(8,3)", 2.0**-4)])
def test_quantizers_of_qkeras_are_grids(relu: str, step: float, inputs: Any) -> None:
    """Of 7 bits all levels are there; of 8 bits every second one, as int8 has no more above zero."""
    model = qkeras_model(relu)
    network = convert(model, Description())
    fractions = {layer.name: layer.fraction for layer in network.layers}
    assert network.input_fraction == 4
    assert {2.0 ** -fractions[name] for name in ("conv", "dense")} == {step}
    logits = arithmetic.logits(network, arithmetic.quantized(inputs, network.input_fraction))
    last = 2.0 ** -network.layers[-1].fraction
    on_grids = np.asarray(functional(model)(inputs))
    assert np.abs(logits * last - on_grids).max() <= last / 2 + 1e-6
    assert np.abs(on_grids - np.asarray(model(inputs))).mean() < 0.08  # QKeras rounds finer, halves to even


def test_grids_that_are_missing_are_calibrated(inputs: Any) -> None:
    import keras

    given = keras.Input(SHAPE)
    conv, _, flatten, dense = layers()
    x = load_qkeras().QActivation("quantized_relu(7,2)", name="act")(conv(given))
    model = keras.Model(given, dense(flatten(x)))
    with pytest.raises(UserError, match="its result is not on a grid"):
        convert(model, Description())
    network = convert(model, Description(), inputs)
    assert network.layers[0].fraction == 5  # as the model says


@pytest.mark.parametrize(
    ("quantizer", "message"),
    [
        ("quantized_bits(8,3,1,alpha='auto')", "act: the step of .*follows the data"),
        ("quantized_bits(4,1,1,alpha=1)", "act: its results have fewer than 8 bits"),
    ],
)
def test_what_int8_cannot_hold_is_refused(quantizer: str, message: str, inputs: Any) -> None:
    import keras

    given = keras.Input(SHAPE)
    conv, _, flatten, dense = layers()
    model = keras.Model(given, dense(flatten(load_qkeras().QActivation(quantizer, name="act")(conv(given)))))
    with pytest.raises(UserError, match=message):
        convert(model, Description(), inputs)


def test_a_model_of_its_own_class_is_refused_in_one_line() -> None:
    import keras

    class Own(keras.Model):
        def call(self, tensor: Any) -> Any:
            return tensor

    with pytest.raises(UserError, match="neither functional nor sequential"):
        functional(Own())
    with pytest.raises(UserError, match="the model is not built: its input shape is not known"):
        functional(keras.Sequential(layers()))


def test_a_lambda_is_refused_in_one_line() -> None:
    import keras

    own = keras.layers.Lambda(lambda tensor: tensor + 1, name="own")
    inner = keras.Sequential([keras.Input(SHAPE), own])
    for model in (inner, keras.Sequential([keras.Input(SHAPE), inner, *layers()])):
        with pytest.raises(UserError, match="layer 'own' is a Lambda, code that hybridq neither runs"):
            functional(model)


def test_a_depthwise_layer_of_keras_2_is_read(tmp_path: Any, inputs: Any) -> None:
    """It says of its groups that they are 1, which Keras 3 refuses."""
    import h5py
    import keras

    model = keras.Sequential([keras.Input(SHAPE), keras.layers.DepthwiseConv2D(3, depth_multiplier=2), *layers()])
    model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        saved = json.loads(file.attrs["model_config"])
        depthwise = next(one for one in saved["config"]["layers"] if one["class_name"] == "DepthwiseConv2D")
        depthwise["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(saved)
    again = load_model(tmp_path / "model.h5")
    assert type(again.layers[0]) is keras.layers.DepthwiseConv2D
    np.testing.assert_array_equal(again.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_is_loaded(suffix: str, tmp_path: Any, inputs: Any) -> None:
    model = sequential()
    model.save(tmp_path / f"model{suffix}")
    assert np.array_equal(np.asarray(load_model(tmp_path / f"model{suffix}")(inputs)), np.asarray(model(inputs)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.onnx", "an ONNX file holds no Keras layers"),
        ("model.pt", "a PyTorch file"),
        ("model.tflite", "an int8 one is ready for `hybridq export`"),
        ("model.txt", "not a model file"),
        ("saved", "a folder without Keras layers"),
        ("nothing.keras", "no such file"),
    ],
)
def test_another_file_is_refused_with_the_way_to_go(name: str, message: str, tmp_path: Any) -> None:
    if name == "saved":
        (tmp_path / name).mkdir()
    elif name != "nothing.keras":
        (tmp_path / name).write_bytes(b"something")
    with pytest.raises(UserError, match=message) as caught:
        load_model(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_what_goes_value_by_value_may_stand_behind_a_flatten(inputs: Any) -> None:
    import keras
    from keras import layers as known

    given = keras.Input(SHAPE)
    row = known.Activation("tanh", name="tanh")(known.Flatten()(known.Conv2D(3, 3, name="conv")(given)))
    model = keras.Model(given, known.Dense(3, name="dense")(known.ReLU(name="relu")(row)))
    network = convert(model, Description(), inputs)
    logits = arithmetic.logits(network, arithmetic.quantized(inputs, network.input_fraction))
    assert np.abs(logits * 2.0 ** -network.layers[-1].fraction - np.asarray(model(inputs))).max() < 0.06
