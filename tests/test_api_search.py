"""A search by the caller's own training, on data where one layer needs its bits and another does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hybridq import quantize, search
from hybridq.errors import UserError

PLAN = {"*": {"weights": "8-bit", "outputs": "8-bit"}}


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    """Two classes by a sum of some inputs of different weight."""
    x = np.random.default_rng(0).normal(size=(600, 16)).astype(np.float32)
    return x, (x @ (2.0 ** -np.arange(16)) > 0).astype(np.int64)


@pytest.fixture(scope="module")
def model(data: Any) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    x, y = data
    given = keras.Input((16,), name="numbers")
    hidden = layers.Dense(16, "relu", name="wide")(layers.Dense(64, "relu", name="first")(given))
    quantized = quantize(keras.Model(given, layers.Dense(2, "softmax", name="last")(hidden)), PLAN, calibrate=x[:100])
    quantized.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    quantized.fit(x[:400], y[:400], epochs=15, verbose=0)
    return quantized


def test_the_plan_keeps_to_the_flash_and_costs_little(model: Any, data: Any) -> None:
    x, y = data
    before = model.get_weights()
    found = search(
        model,
        train=lambda copy: copy.fit(x[:400], y[:400], epochs=4, verbose=0),
        validation=(x[400:], y[400:]),
        flash="2KiB",
        count=2,
    )
    own, *others = found.trained
    assert own[0].flash_bytes > 2048 >= found.flash_bytes
    assert len(others) == 2
    assert found.score.accuracy > 85
    assert found.score == min(
        (score for plan, score in found.trained if plan.fits), key=lambda score: score.cross_entropy
    )
    formats = {str(found.plan.of(layer).weights) for layer in ("first", "wide", "last")}
    assert formats != {"8-bit"}
    assert {type(layer).__name__ for layer in found.model.layers} == {type(layer).__name__ for layer in model.layers}
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert own[0].code in str(found)
    assert "first, wide, last" in str(found)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("100B", r"no precision plan .* smallest takes [\d.]+ (Ki)?B of flash and \d+ B of RAM: "),
        ("sixty", "sixty"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(model: Any, data: Any, limit: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        search(model, train=lambda copy: None, validation=data, flash=limit)


def test_a_model_must_be_compiled(data: Any) -> None:
    import keras

    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(2, name="last")])
    with pytest.raises(UserError, match="compile it with one loss first"):
        search(model, train=lambda copy: None, validation=data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": 3}, "train: must be a function"),
        ({"validation": None}, "validation: must be inputs and their targets"),
        ({"validation": (np.zeros((4, 16)), [0, 1])}, r"validation: 4 inputs, and targets of shape \(2,\)"),
        (
            {"validation": (np.zeros((4, 16)), [0, 1, 0, 7])},
            "validation targets: sample 3 is of class 7; there are 0 to 1",
        ),
        ({"validation": (np.zeros((4, 16)), [0.0, 1, 2, 1])}, "validation targets: sample 2 is of class 2; there are"),
        ({"validation": (np.zeros((4, 16)), list("abab"))}, "the model's loss cannot be computed of them"),
        ({"validation": (np.full((4, 16), np.nan), [0, 1, 0, 1])}, "validation: sample 0 has a NaN"),
        ({"count": 0}, "count: must be a whole number from 1"),
    ],
)
def test_what_cannot_be_searched_with_is_refused(model: Any, data: Any, change: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        search(model, **{"train": lambda copy: None, "validation": data, "flash": "2KiB"} | change)


def test_of_one_output_of_sigmoid_the_accuracy_counts() -> None:
    import keras

    x = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    keras.utils.set_random_seed(0)
    last = keras.layers.Dense(1, "sigmoid", name="last")
    model = quantize(keras.Sequential([keras.Input((8,)), last]), PLAN, calibrate=x)
    model.compile("sgd", "binary_crossentropy")
    found = search(model, train=lambda copy: None, validation=(x, y), count=1)
    own = found.trained[0][1]
    assert own.accuracy == 100 * np.mean((np.asarray(model(x)) > 0.5) == (y > 0.5))


def test_of_two_classes_by_one_output_no_third_is_taken() -> None:
    import keras

    x = np.random.default_rng(0).normal(size=(8, 8))
    model = quantize(keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, "sigmoid", name="last")]), PLAN, x)
    model.compile("sgd", "binary_crossentropy")
    with pytest.raises(UserError, match="validation targets: sample 7 is of class 7; there are 0 to 1"):
        search(model, train=lambda copy: None, validation=(x, np.array([[0, 1, 0, 1, 0, 1, 0, 7]]).T))


def test_each_input_needs_its_target(model: Any, data: Any) -> None:
    x, y = data
    with pytest.raises(UserError, match=r"validation: 600 inputs, and targets of shape \(599,\)"):
        search(model, train=lambda copy: None, validation=(x, y[:-1]))
