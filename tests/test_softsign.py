"""A nonlinearity that no room knows but by its row: from the recipe to C and TFLite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import answers
from network_builds import some_inputs
from network_runs import expected, machine

from hybridq.integer import arithmetic
from hybridq.integer.checks import check
from hybridq.integer.convert import settle
from hybridq.integer.figures import chains_of
from hybridq.integer.lowering import integer_network
from hybridq.integer.network import IntegerNetwork
from hybridq.models import build_model
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile
from hybridq.quantization.model import calibrated, quantize
from hybridq.quantization.steps import FUNCTION
from hybridq.recipe.file import load_recipe
from hybridq.tflite.convert import tflite

RECIPE = """
name: softsign
model: {activation: softsign, filters: [2, 2, 2, 2, 3, 3], dense: [4, 4]}
precision:
  "*": {weights: 8-bit, outputs: 8-bit}
"""


def of_recipe(folder: Path) -> tuple[Any, PrecisionPlan]:
    """The network of a recipe, and its plan."""
    (folder / "softsign.yaml").write_text(RECIPE)
    recipe = load_recipe(folder / "softsign.yaml")
    return build_model(recipe.model, (38, 55), 3), PrecisionPlan.from_data(recipe.precision)


def of_operation(folder: Path) -> tuple[Any, PrecisionPlan]:
    """A network of a user's own, with the operation of keras.ops in place of a layer."""
    import keras
    from keras import layers

    inputs = keras.Input((6, 5, 2), name="input")
    x = keras.ops.softsign(layers.Conv2D(4, 3, name="conv")(inputs))
    x = layers.Dense(3, activation="softmax", name="last")(layers.Flatten()(x))
    return keras.Model(inputs, x), PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})


@pytest.mark.parametrize("build", [of_recipe, of_operation])
def test_softsign_goes_all_the_way(build: Any, tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    model, plan = build(tmp_path)
    random = np.random.default_rng(0)
    inputs = random.standard_normal((48, *model.input_shape[1:])).astype(np.float32)
    trained = quantize(model, plan, calibrated(model, plan, inputs))
    trained.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", run_eagerly=True)
    losses = trained.fit(inputs, random.integers(0, 3, 48), batch_size=16, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    settle(trained)
    network = integer_network(trained)
    check(network)
    heard = answers(trained, inputs).argmax(1)
    as_integers = arithmetic.quantized(inputs, network.input_fraction)
    assert (arithmetic.classes(network, as_integers) == heard).mean() >= 0.95
    has_table(network, trained)
    runs_everywhere(network)


def has_table(network: IntegerNetwork, trained: Any) -> None:
    """The table of the first layer is softsign, from the grid that it reads to the grid that it makes."""
    first, parts = network.layers[0], chains_of(trained)[1].parts
    place = [part.letter for part in parts].index(FUNCTION)
    before, after = parts[place - 1], parts[place + 1]
    real = np.arange(-128, 128) * 2.0**-before.value
    wanted = np.clip(np.floor(real / (1 + np.abs(real)) * 2.0**after.value + 0.5), -128, 127)
    assert np.abs(first.table - wanted).max() <= 1  # float32
    assert (first.table == wanted).mean() > 0.99


def runs_everywhere(network: IntegerNetwork) -> None:
    """C gives the same to the last bit; each layer of TFLite, from what the runtime gave it, is at most a step off."""
    from test_export_tflite import every_tensor, steps_off

    inputs = some_inputs(network, 6)
    np.testing.assert_array_equal(machine("here").answers(network, inputs), expected(network, inputs))
    assert b"softsign" not in tflite(network).lower()  # TFLite has no such operator: its table
    for name, tensors in every_tensor(network, inputs).items():
        for layer in network.layers:
            assert steps_off(layer, tensors, network).max() <= 1, (name, layer.name)


def test_softsign_is_counted_and_said_to_be_ours() -> None:
    """2 a value: a sum and a quotient; no published report has it."""
    import keras
    from keras import layers

    inputs = keras.Input((7,))
    layer = keras.Model(inputs, layers.Activation("softsign")(layers.Dense(4)(inputs)))
    operation = keras.Model(inputs, keras.ops.softsign(layers.Dense(4)(inputs)))
    for model in (layer, operation):
        report = profile(model)
        assert [row.macc for row in report.rows] == [7 * 4 + 4 + 2 * 4]
        assert report.assumed == ("softsign",)
