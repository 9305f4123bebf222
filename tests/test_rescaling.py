"""Rescaling and Normalization behind the input: part of what makes the network's input, to the last bit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run
from network_builds import Made

from hybridq.api.network import Network, convert
from hybridq.data.task import Task
from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.image.emit import emit
from hybridq.image.memory_plan import plan as planned
from hybridq.integer import arithmetic
from hybridq.integer.answers import answers, inputs_of
from hybridq.integer.artefact import digest, load_network, save_network
from hybridq.integer.convert import settle
from hybridq.integer.fusion import structure
from hybridq.integer.lowering import integer_network
from hybridq.integer.network import IntegerNetwork
from hybridq.precision import PrecisionPlan
from hybridq.pretrained import pretrained_file
from hybridq.quantization.graph import quantized_graph
from hybridq.quantization.model import calibrated, quantize
from hybridq.runs.export import c_front_end_of
from hybridq.runs.load_network import Trained, chain_of
from hybridq.speech.normalisation import Normalisation
from hybridq.streaming.listening import spotter

PLAN = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})


def pictures(count: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 7, 3)).astype(np.float32)


def network(*first: Any, read_twice: bool = False) -> Any:
    """A small network of pictures, with these layers behind its input."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    inputs = x = keras.Input((8, 7, 3), name="image")
    for layer in first:
        x = layer(x)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
    if read_twice:
        x = layers.Concatenate()([x, inputs])
    return keras.Model(inputs, layers.Dense(3, name="last")(layers.Flatten(name="flat")(x)), name="small")


def scaled(how: str) -> Any:
    from keras import layers

    if how == "rescaling":
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="scaled")
    if how == "by channel":
        return layers.Rescaling([0.01, 0.02, 0.005], offset=[-1.0, 0.5, 0.25], name="scaled")
    if how == "statistics":
        made = layers.Normalization(name="scaled")
        made.adapt(pictures())
        return made
    return layers.Normalization(axis=None, mean=120.0, variance=900.0, name="scaled")


@pytest.mark.parametrize("how", ["rescaling", "by channel", "statistics", "constants"])
def test_what_is_behind_the_input_is_part_of_its_grid(how: str, tmp_path: Any) -> None:
    model = network(scaled(how))
    on_grids = quantize(model, PLAN, calibrated(model, PLAN, pictures()))
    settle(on_grids)
    integers = integer_network(on_grids)
    sha = save_network(integers, tmp_path / "network.hqn")
    assert digest(load_network(tmp_path / "network.hqn")) == sha
    assert [type(layer).__name__ for layer in integers.layers] == ["Convolution", "Dense"]
    x = pictures(20, seed=1)
    (made,) = answers(integers, inputs_of(integers, x))
    real = np.asarray(on_grids(x, training=False))
    assert np.abs(made - real).max() < 0.02 * np.abs(real).max()
    floats = model.predict(x, verbose=0)  # what was adapted to data computes with that in a copy too
    assert np.abs(real - floats).max() < 0.05 * np.abs(floats).max()
    assert "/* input: a value * (" in emit(integers, planned(integers))["network.h"]


def test_pictures_are_given_as_they_are(run: Run, tmp_path: Path) -> None:
    """To Python, to `evaluate`, and to an image: each rescales them itself."""
    model, x = network(scaled("rescaling")), pictures(40)
    wanted = model.predict(x, verbose=0)
    found = convert(model, calibrate=x).predict(x)
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "given.npz", x=x.astype(np.uint8), y=wanted)
    given = ("--inputs", tmp_path / "given.npz:x")
    assert run("quantize", tmp_path / "model.keras", "--calibrate", given[1], "--out", tmp_path / "q")[0] == 0
    code, out, _ = run("evaluate", tmp_path / "q", *given, "--labels", tmp_path / "given.npz:y", "--format", "json")
    assert code == 0
    measured = json.loads(out)
    assert measured["integer"]["r2"] > 99
    assert measured["keras"]["r2"] > 99


def test_elsewhere_it_is_refused_before_a_training() -> None:
    from keras import layers

    cases = [
        (
            network(layers.Conv2D(3, 1), scaled("rescaling")),
            "scaled: a Rescaling layer has a form in integers only dir",
        ),
        (network(scaled("rescaling"), read_twice=True), "scaled: a Rescaling layer has a form in integers only direct"),
        (network(layers.Normalization(axis=1, name="rows")), "rows: it must have one scale and offset for all values"),
    ]
    for model, message in cases:
        with pytest.raises(UserError, match=message):
            structure(quantized_graph(read_graph(model), PLAN))


SOUND = "pretrained:best-16k"
FACTORS = {"scale": (0.5,), "offset": (0.25,)}


def described(network: IntegerNetwork, **about: Any) -> IntegerNetwork:
    """The network with other entries of its description."""
    return replace(network, description=replace(network.description, **about))


@pytest.fixture(scope="module")
def spotting() -> IntegerNetwork:
    """A network that hears sound."""
    return load_network(pretrained_file(SOUND))


def test_samples_are_standardised_as_the_data_was() -> None:
    """Of a network of a recipe with `normalise`, by Python as by the commands."""
    made = Made((4, 3, 2), 1)
    made.dense("input", 3, logits=True)
    plain = Network(made.network())
    about = {"normalisation": {"mean": (3.0, -1.0), "deviation": (2.0, 0.5)}}
    standardised = Network(described(plain.integers, **about))
    x = np.random.default_rng(0).integers(-64, 64, (9, 4, 3, 2)) / 16
    raw = x * about["normalisation"]["deviation"] + about["normalisation"]["mean"]
    np.testing.assert_array_equal(standardised.predict(raw), plain.predict(x))


def test_the_header_says_what_is_done_to_numbers() -> None:
    cases = {1: "a value * (0.5) + (-1.5)", 24: "a value, scaled and shifted by its channel"}
    for channels, change in cases.items():
        made = Made((24,), 1)
        made.dense("input", 2, logits=True)
        network = made.network(normalisation={"mean": [3.0] * channels, "deviation": [2.0] * channels})
        assert f"/* input: {change}, in steps of 2**-4 */" in emit(network, planned(network))["network.h"]


def test_a_reconstruction_is_measured_against_what_the_network_reads() -> None:
    made = Made((24,), 1)
    made.dense("input", 24, logits=True)
    plain = Network(made.network())
    about = {"normalisation": {"mean": (3.0,), "deviation": (2.0,)}, "task": Task.RECONSTRUCT}
    x = np.random.default_rng(0).integers(-64, 64, (9, 24)) / 16
    raw = 2 * x + 3
    assert Network(described(plain.integers, **about)).evaluate(raw, raw) == plain.evaluate(x, x)


def test_features_given_to_a_network_for_sound_are_what_it_reads(
    spotting: IntegerNetwork, run: Run, tmp_path: Path
) -> None:
    """They are not standardised once more, row by row along another axis."""
    x = np.random.default_rng(0).normal(size=(6, *spotting.input_shape)).astype(np.float32)
    heard = arithmetic.classes(spotting, arithmetic.quantized(x, spotting.input_fraction))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", heard)
    given = ("--inputs", tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--format", "json")
    code, out, err = run("evaluate", SOUND, *given)
    assert code == 0, err
    assert json.loads(out)["accuracy"] == 100


def test_a_network_for_sound_that_rescales_hears_so_in_a_stream_and_on_a_device(spotting: IntegerNetwork) -> None:
    rescaling = described(spotting, rescaling=FACTORS)
    end, normalisation, _ = chain_of(rescaling)
    features = normalisation.apply(end.mfcc(np.random.default_rng(0).normal(0, 0.1, (3, end.samples))))[..., None]
    read = inputs_of(rescaling, features)
    (probabilities,) = answers(rescaling, read)
    np.testing.assert_allclose(spotter(Trained(SOUND, None, rescaling)).network(features), probabilities)
    device = c_front_end_of(rescaling)
    assert device is not None
    on_device = device.normalisation.apply(normalised_back(features[..., 0], normalisation))
    made = arithmetic.quantized(on_device.astype(np.float64), rescaling.input_fraction)
    assert np.mean(made == read[..., 0]) > 0.999  # but for roundings of float32
    with pytest.raises(UserError, match="rescales its input by -1, and its front end on a device only by more than 0"):
        c_front_end_of(described(spotting, rescaling={"scale": (-1.0,), "offset": (0.0,)}))


def normalised_back(features: np.ndarray, by: Normalisation) -> np.ndarray:
    """Features (clips, coefficients, frames) as they were before."""
    return features * np.array(by.deviation)[:, None] + np.array(by.mean)[:, None]


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"rescaling": {"scale": [1, 2], "offset": [0]}}, "numbers for 2 of 3 channels"),
        ({"normalisation": {"mean": [0] * 4, "deviation": [1]}}, "numbers for 4 of 3 channels"),
        ({"normalisation": {"mean": [], "deviation": [1]}}, "numbers for 0 of 3 channels"),
        ({"normalisation": {"mean": [0], "deviation": [0]}}, "a deviation that is not above 0"),
        ({"normalisation": {"mean": [0]}}, "a normalisation without its numbers"),
        ({"rescaling": {"scale": [1e39], "offset": [0]}}, "a factor or summand of 1e\\+39 for its input"),
    ],
)
def test_numbers_that_do_not_go_with_the_input_are_refused(about: Any, message: str) -> None:
    made = Made((4, 4, 3), 0)
    made.dense("input", 2, logits=True)
    with pytest.raises(UserError, match=message):
        made.network(**about)
