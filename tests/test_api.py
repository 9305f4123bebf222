"""What `import hybridq` offers, as a user of it would: one model, two arrays."""

from __future__ import annotations

import doctest
import importlib
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from picture_model import PLAN, picture_model, pictures

import hybridq
from hybridq import quantize
from hybridq.errors import UserError


@pytest.fixture(scope="module")
def model() -> Any:
    return picture_model()


@pytest.fixture(scope="module")
def inputs() -> Any:
    return pictures()


@pytest.mark.parametrize("module", ["quantizing", "network"])
def test_the_examples_are_what_happens(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"hybridq.api.{module}"))
    assert tried
    assert not failed


def test_nothing_large_is_imported_before_it_is_used() -> None:
    code = "import hybridq, sys; hybridq.profile; print(*{'tensorflow', 'keras', 'mlflow'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "\n"


def test_a_profile_takes_a_plan_as_data(model: Any) -> None:
    report = hybridq.profile(model, plan=PLAN, accounting="packed")
    weights = {row.name: str(row.precision.weights) for row in report.rows if row.precision}
    assert weights == {"conv": "8-bit", "dense": "binary", "last": "8-bit"}
    assert not report.no_image
    narrow = hybridq.profile(model, plan="hybrid")  # a standard plan by its name
    assert {row.name: str(row.precision.weights) for row in narrow.rows if row.precision}["dense"] == "binary"
    with pytest.raises(UserError, match="plan: '8-bit' is none of int8, int8-weights, hybrid"):
        hybridq.profile(model, plan="8-bit")  # type: ignore[arg-type]


def test_the_quantized_copy_leaves_the_model_as_it_was(model: Any, inputs: Any) -> None:
    before = model.get_weights()
    quantized = quantize(model, PLAN, calibrate=inputs)
    quantized.compile("adam", "sparse_categorical_crossentropy")
    quantized.fit(inputs, np.arange(40) % 3, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("calibrate", "message"),
    [
        (None, "calibrate: the plan names 8-bit outputs"),
        (np.zeros((4, 8, 7, 1)), r"calibrate: must be \(n, 8, 8, 1\), as the model reads \(is \(4, 8, 7, 1\)\)"),
        (np.zeros((0, 8, 8, 1)), "calibrate: has no samples"),
        (np.full((4, 8, 8, 1), np.nan), "calibrate: sample 0 has a NaN or an infinity in it"),
        (np.full((4, 8, 8, 1), "a"), "calibrate: must be real or whole numbers"),
    ],
)
def test_calibration_needs_inputs_of_the_model(model: Any, calibrate: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        quantize(model, PLAN, calibrate=calibrate)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"cnv": "8-bit"}, "matches no layer; the nearest layer is 'conv'"),
        ({"conv": "7-bit"}, "'7-bit' is not a precision"),
        ("hybird", "plan: 'hybird' is none of int8, int8-weights, hybrid; .*'hybrid'"),
        (["8-bit"], "plan: must map patterns"),
        ({"dense": {"bias": "binary"}}, "cannot be binary"),
    ],
)
def test_a_plan_that_is_none_is_refused(model: Any, plan: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        quantize(model, plan)


def test_what_cannot_become_an_image_is_told_before_the_training(inputs: Any) -> None:
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((8, 8)), layers.GRU(4, name="memory"), layers.Dense(2, name="last")])
    with pytest.raises(UserError, match=r"memory: GRU layers have no form in integers.*image=False"):
        quantize(model, {"last": "8-bit"})
    assert quantize(model, {"last": "8-bit"}, image=False).get_layer("last").kernel_quantizer


def test_a_model_of_two_inputs_is_not_calibrated_on_one_array() -> None:
    import keras

    both = [keras.Input((4,)), keras.Input((4,))]
    model = keras.Model(both, keras.layers.Dense(2, name="last")(keras.layers.Add()(both)))
    with pytest.raises(UserError, match="calibrate: is one array, and the model has 2 inputs"):
        quantize(model, {"*": {"outputs": "8-bit"}}, calibrate=np.zeros((5, 4)), image=False)


def test_inputs_on_another_scale_are_warned_of(model: Any, inputs: Any, recwarn: pytest.WarningsRecorder) -> None:
    net = hybridq.convert(model, calibrate=inputs)
    net.predict(inputs)
    assert not [one for one in recwarn if "input numbers" in str(one.message)]
    truth = np.arange(40) % 3
    for ask in (lambda: net.predict(255 * inputs), lambda: net.evaluate(255 * inputs, truth)):
        with pytest.warns(UserWarning, match=r"\d+ % of the input numbers are beyond -1 to 0.9922, all"):
            ask()


def test_an_export_is_shown_in_a_line_and_is_what_build_json_says(model: Any, inputs: Any, tmp_path: Any) -> None:
    made = hybridq.convert(model, calibrate=inputs).export(tmp_path / "image")
    assert repr(made).startswith(f"<image in {tmp_path / 'image'}: weights of ")
    assert "\n" not in repr(made)
    said = json.loads((tmp_path / "image" / "build.json").read_text())
    assert said.pop("files")
    assert made == said


def test_weights_that_are_quantized_already_take_no_other_format(model: Any, inputs: Any) -> None:
    quantized = quantize(model, PLAN, calibrate=inputs)
    with pytest.raises(UserError, match=r"the pattern 'dense' names only layers that were quantized before \(dense\)"):
        quantize(quantized, {"dense": "4-bit"}, calibrate=inputs)
