"""From a model and two arrays to an image, by `import hybridq` alone; and what is refused on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from picture_model import PLAN, picture_model, pictures

from hybridq import Network, convert, load, quantize, verify
from hybridq.errors import UserError

LABELS = ("round", "square", "other")


@pytest.fixture(scope="module")
def inputs() -> Any:
    return pictures()


@pytest.fixture(scope="module")
def model() -> Any:
    return picture_model()


@pytest.fixture(scope="module")
def quantized(model: Any, inputs: Any) -> Any:
    return quantize(model, PLAN, calibrate=inputs)


@pytest.fixture(scope="module")
def network(quantized: Any) -> Network:
    return convert(quantized, labels=LABELS)


def test_it_answers_as_the_model_it_is_of(network: Network, quantized: Any, inputs: Any) -> None:
    answered = network.predict(inputs)
    assert answered.shape == (40, 3)
    assert np.abs(answered - np.asarray(quantized(inputs))).max() < 0.01
    result = network.evaluate(inputs, answered.argmax(1))
    assert result.score == 100
    with pytest.raises(UserError, match=r"the class of each sample .*argmax\(1\)"):
        network.evaluate(inputs, np.eye(3)[answered.argmax(1)])
    named = network.evaluate(inputs, [LABELS[one] for one in answered.argmax(1)])
    assert named.to_json() == result.to_json()
    assert str(result).startswith("accuracy 100.0 % of 40 samples (91.2 to 100.0")
    assert str(network) == "<hybridq.Network: (8, 8, 1) to (3,), 4 layers>"


def test_a_float_model_is_converted_with_inputs_to_calibrate_on(model: Any, inputs: Any) -> None:
    with pytest.raises(UserError, match="not on a grid of 8 bits"):
        convert(model)
    answered = convert(model, calibrate=inputs).predict(inputs)
    assert np.abs(answered - np.asarray(model(inputs))).max() < 0.05


def test_it_is_kept_and_read_again(network: Network, inputs: Any, tmp_path: Any) -> None:
    digest = network.save(tmp_path / "shapes.hqn")
    again = load(tmp_path / "shapes.hqn")
    assert again.save(tmp_path / "again.hqn") == digest
    assert again.labels == LABELS
    assert np.array_equal(again.predict(inputs), network.predict(inputs))


def test_its_image_computes_the_same(network: Network, inputs: Any, tmp_path: Any) -> None:
    build = network.export(tmp_path / "image", tflite=True)
    assert (tmp_path / "image" / "network.tflite").exists()
    assert [layer["name"] for layer in build["layers"]] == ["conv", "pool", "dense", "last"]
    made = verify(tmp_path / "image", inputs[:3], network.predict(inputs[:3]).argmax(1))
    assert made.exact
    assert made.accuracy == 100
    assert "one inference" in str(made)
    with pytest.raises(UserError, match=r"x: must be \(n, 8, 8, 1\)"):
        verify(tmp_path / "image", inputs[:, 1:])


def test_numbers_are_measured_by_their_errors(inputs: Any) -> None:
    import keras

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, name="last")])
    network = convert(model, calibrate=inputs)
    wanted = np.asarray(model(inputs))
    result = network.evaluate(inputs, wanted)
    assert result.score > 99
    assert str(result).startswith("R2 ")
    assert "mean absolute error" in str(result)


def test_one_output_of_sigmoid_tells_two_classes_apart(inputs: Any) -> None:
    import keras

    last = keras.layers.Dense(1, "sigmoid", name="last")
    network = convert(keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), last]), calibrate=inputs)
    answered = network.predict(inputs)
    assert ((answered > 0) & (answered < 1)).all()
    assert network.evaluate(inputs, (answered[:, 0] > 0.5).astype(int)).score == 100


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 8, 7, 1)), [0, 1, 2, 0], r"x: must be \(n, 8, 8, 1\), as the model reads"),
        (np.full((4, 8, 8, 1), np.inf), [0, 1, 2, 0], "x: sample 0 has a NaN or an infinity"),
        (np.zeros((4, 8, 8, 1), complex), [0, 1, 2, 0], "x: must be real or whole numbers"),
        ([[0], [0, 1]], [0, 1, 2, 0], "x: no array: setting an array element with a sequence"),
        (np.zeros((4, 8, 8, 1)), [0.0, 1.0, 2.0, 0.0], r"y: classes are whole numbers from 0.*y\.astype\(int\)"),
        (np.zeros((4, 8, 8, 1)), [[1], [2, 3]], "y: no array"),
        (np.zeros((4, 8, 8, 1)), [None] * 4, "y: must be real or whole numbers"),
        (np.zeros((4, 8, 8, 1)), [0, 1, 2], "y: is of 3 samples, and there are 4"),
        (np.zeros((4, 8, 8, 1)), [0, 1, 2, 3], "y: sample 3 is of class 3; there are 0 to 2"),
        (np.zeros((4, 8, 8, 1)), ["round", "square", "other", "blue"], "y: 'blue' is none of the labels"),
        (np.zeros((4, 8, 8, 1)), np.zeros((4, 2)), r"y: must be \(n, 3\), as the model answers"),
    ],
)
def test_what_is_not_for_the_network_is_refused(network: Network, x: Any, y: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        network.evaluate(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["a", "b"]}, "labels: are 2, and the model tells 3"),
        ({"labels": ["a", "b", "a"]}, "labels: two of a, b, a are the same"),
        ({"labels": ["a", "b", "\ud800"]}, "its labels: .* is no text"),
        ({"labels": "abc"}, "labels: must be a list of the classes' names, and is 'abc'"),
        ({"labels": None}, "labels: must be a list"),
        ({"calibrate": np.zeros((3, 8))}, "calibrate: must be"),
    ],
)
def test_a_conversion_with_the_wrong_things_is_refused(quantized: Any, options: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        convert(quantized, **options)


def test_what_is_no_model_is_refused() -> None:
    for model in (None, 3):
        with pytest.raises(UserError, match="is not a Keras model or the path of one"):
            convert(model, calibrate=np.zeros((4, 8, 8, 1)))  # type: ignore[arg-type]
