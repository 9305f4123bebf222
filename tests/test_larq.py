"""Models saved with Larq: files as it writes them, made of Keras' own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridq.errors import UserError
from hybridq.integer.answers import answers
from hybridq.integer.arithmetic import quantized
from hybridq.integer.convert import convert
from hybridq.integer.description import Description
from hybridq.profiler import profile
from hybridq.quantization.functional import functional
from hybridq.quantization.load_model import load_model


def quantizer(name: str) -> dict[str, Any]:
    return {"module": "larq.quantizers", "class_name": name, "config": {"clip_value": 1.0}, "registered_name": name}


def layers() -> list[Any]:
    import keras
    from keras import layers as known

    return [
        keras.Input((8, 8, 1), name="input"),
        known.Conv2D(4, 3, use_bias=False, name="first"),
        known.BatchNormalization(name="norm"),
        known.Conv2D(6, 3, use_bias=False, name="second"),
        known.BatchNormalization(name="norm_2"),
        known.Flatten(name="flatten"),
        known.Dense(3, name="last"),
    ]


def saved(path: Path, **changes: Any) -> Any:
    """Write the file; the model with real kernels that it was made of. `changes`: settings of the layer `second`."""
    import h5py
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(layers())
    model.get_layer("norm").set_weights([np.ones(4), np.zeros(4), np.full(4, 0.1), np.ones(4)])
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            settings = layer["config"]
            if layer["class_name"] not in ("Conv2D", "Dense"):
                continue
            layer["class_name"] = "Quant" + layer["class_name"]
            layer.pop("module", None)
            layer.pop("registered_name", None)
            reads = None if settings["name"] == "first" else quantizer("ApproxSign")
            kernel = quantizer("MagnitudeAwareSign" if settings["name"] == "last" else "SteSign")
            settings |= {"input_quantizer": reads, "kernel_quantizer": kernel}
            constraint = {"module": "larq.constraints", "class_name": "weight_clip", "config": {"clip_value": 1}}
            settings |= {"kernel_constraint": constraint, "pad_values": 0.0}
            settings |= changes if settings["name"] == "second" else {}
        file.attrs["model_config"] = json.dumps(config)
    return model


def expected(model: Any, inputs: Any) -> Any:
    """With the signs of the kernels, and of what the second and the last layer read."""
    import keras

    def signs(values: Any) -> Any:
        return np.where(np.asarray(values) >= 0, 1.0, -1.0)

    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for name in ("first", "second", "last"):
        layer = copy.get_layer(name)
        kernel, *bias = layer.get_weights()
        scale = np.abs(kernel).mean(0) if name == "last" else 1
        layer.set_weights([signs(kernel) * scale, *bias])
    values = inputs
    for layer in copy.layers:
        values = layer(signs(values) if layer.name in ("second", "last") else values)
    return np.asarray(values)


@pytest.fixture(scope="module")
def inputs() -> Any:
    return np.random.default_rng(0).normal(size=(30, 8, 8, 1)).astype(np.float32)


def test_it_computes_what_it_did_in_larq(tmp_path: Path, inputs: Any) -> None:
    wanted = expected(saved(tmp_path / "larq.h5"), inputs)
    model = load_model(tmp_path / "larq.h5")
    assert np.abs(np.asarray(model(inputs)) - wanted).max() < 1e-4
    flat = functional(model)
    assert np.array_equal(np.asarray(flat(inputs)), np.asarray(model(inputs)))
    assert [layer.name for layer in flat.layers if "signs" in layer.name] == ["second_signs", "last_signs"]


def test_it_becomes_a_network_of_bits(tmp_path: Path, inputs: Any) -> None:
    saved(tmp_path / "larq.h5")
    model = load_model(tmp_path / "larq.h5")
    network = convert(model, Description(), inputs)
    widths = {layer.name: str(layer.width) for layer in network.layers if layer.name in ("first", "second", "last")}
    assert set(widths.values()) == {"binary"}
    (answered,) = answers(network, quantized(inputs, network.input_fraction))
    agree = answered.argmax(1) == np.asarray(model(inputs)).argmax(1)
    assert agree.mean() > 0.7  # where a value next to 0 is rounded to it, its sign is another


def test_the_report_counts_its_bits(tmp_path: Path) -> None:
    saved(tmp_path / "larq.h5")
    report = profile(tmp_path / "larq.h5")
    weights = {row.name: str(row.precision.weights) for row in report.rows if row.precision}
    assert weights == {"first": "binary", "second": "binary", "last": "binary"}
    assert not report.not_costed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel_quantizer": quantizer("DoReFa")}, "layer 'second': its kernel has the quantizer do_re_fa"),
        ({"input_quantizer": quantizer("SteHeaviside")}, "layer 'second': reads by the quantizer ste_heaviside"),
        ({"pad_values": 1.0, "padding": "same"}, "layer 'second': pads with 1.0"),
    ],
)
def test_what_has_no_counterpart_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    saved(tmp_path / "larq.h5", **changes)
    with pytest.raises(UserError, match=message):
        load_model(tmp_path / "larq.h5")
