"""Networks rebuilt from the layers that public reports of ST's tool list, with those reports' totals.

Each is a `network_generate_report.txt` of the named GitHub repository: version, MACC, weights and activations in bytes.
The weights themselves are not known, and no total depends on them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridq.profiler import profile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def totals(model: Any, version: str) -> tuple[int, int, int]:
    report = profile(model, accounting=f"x-cube-ai:{version}")
    assert not report.not_costed
    return report.totals.macc, report.totals.weights_bytes, report.totals.activations_bytes


def chain(shape: tuple[int, ...], *layers: Any) -> Any:
    import keras

    return keras.Sequential([keras.Input(shape), *layers])


# -------------------------------------------------------------------------------------------- Keras models


def lstm_pair(layers: Any) -> Any:
    return chain((20, 1), layers.LSTM(10, return_sequences=True), layers.LSTM(2), layers.Dense(3, activation="softmax"))


def digits(layers: Any) -> Any:
    dense = [layers.Dense(64, activation="relu"), layers.Dense(64, activation="relu")]
    return chain((28, 28, 1), layers.Flatten(), *dense, layers.Dense(10, activation="softmax"))


def lenet(layers: Any) -> Any:
    return chain(
        (28, 28, 1),
        layers.Conv2D(6, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(16, 5, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(120, activation="relu"),
        layers.Dense(84, activation="relu"),
        layers.Dense(10, activation="softmax"),
    )


def cats_and_dogs(layers: Any) -> Any:
    blocks = [
        layer
        for filters in (16, 32, 64, 64)
        for layer in (
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(padding="same"),
        )
    ]
    dense = [layers.Dense(128, activation="relu"), layers.Dense(256, activation="relu")]
    return chain((50, 50, 1), *blocks, layers.Flatten(), *dense, layers.Dense(1, activation="sigmoid"))


def cats_and_dogs_unpadded(layers: Any) -> Any:
    blocks = [layer for _ in range(2) for layer in (layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D())]
    dense = [layers.Dense(128, activation="relu"), layers.Dense(1, activation="sigmoid")]
    return chain((64, 64, 3), *blocks, layers.Flatten(), *dense)


def spectrum(layers: Any) -> Any:
    return chain(
        (48, 10, 1),
        layers.Conv2D(64, (10, 4), strides=2, activation="relu"),
        layers.DepthwiseConv2D(3),
        layers.Conv2D(8, 1, activation="relu"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(30),
    )


def hands(layers: Any) -> Any:
    """Padding at the bottom and at the right, for strides of 2, before each of five convolutions."""

    def block(kind: Any, *counts: int, stride: int = 1, active: bool = True) -> list[Any]:
        padding = [layers.ZeroPadding2D(((0, 1), (0, 1)))] * (stride - 1)
        size = 3 if stride == 2 else 1
        found = [*padding, kind(*counts, size, strides=stride, use_bias=False), layers.BatchNormalization()]
        return found + [layers.ReLU()] * active

    conv, depthwise = layers.Conv2D, layers.DepthwiseConv2D
    return chain(
        (160, 160, 1),
        *block(conv, 8, stride=2),
        *block(depthwise, stride=2),
        *block(conv, 4, active=False),
        *block(conv, 8, stride=2),
        *block(conv, 48),
        *block(depthwise, stride=2),
        *block(conv, 16, active=False),
        *block(conv, 64),
        *block(depthwise, stride=2),
        *block(conv, 24, active=False),
        *block(conv, 128, active=False),
        conv(30, 1),
    )


def activity(layers: Any) -> Any:
    convolutions = [layers.Conv2D(16, (5, 1), activation="relu") for _ in range(2)]
    return chain((24, 3, 1), *convolutions, layers.GlobalMaxPooling2D(), layers.Dense(5), layers.Softmax())


def windows(layers: Any) -> Any:
    return chain(
        (26, 3),
        layers.Conv1D(8, 3, activation="relu"),
        layers.MaxPooling1D(4),
        layers.Conv1D(2, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(6, activation="relu"),
        layers.Dense(3, activation="softmax"),
    )


def resized(layers: Any) -> Any:
    return chain(
        (124, 129, 1),
        layers.Resizing(28, 28),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(6),
    )


def lstm_both_ways(layers: Any) -> Any:
    return chain(
        (297, 6),
        layers.Conv1D(64, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv1D(128, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling1D(),
        layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
        layers.GlobalAveragePooling1D(),
        layers.Dense(64, activation="relu"),
        layers.Dense(3, activation="softmax"),
    )


def gru(layers: Any) -> Any:
    return chain((30, 10), layers.GRU(32), layers.Dense(1))


# The ONNX model of `gru` stores two arrays more: a first state (128 B) and the index of the last step (4 B).
KERAS = [
    ("Claude0311/HPSmates", "5.0", lstm_pair, 11_971, 2_516, 808),
    ("nMoussa/HAR-Nucleo", "5.1", activity, 68_923, 5_908, 6_976),
    ("ZamesNg/ART-Pi-YOLO-hand-tracking", "5.2", hands, 1_443_650, 50_184, 206_112),
    ("jumping-dragon/stm32-ai", "5.2", digits, 55_190, 220_200, 512),
    ("Sun2018421/stm32f767IGT6-cube-ai-lenet-", "5.2", lenet, 429_504, 246_824, 6_432),
    ("1000sAlex/F4_neuron", "6.0", windows, 2_448, 820, 320),
    ("Kahroba2000/STM32F746G-DISCO-Image-Recognition", "7.2", cats_and_dogs, 8_478_619, 898_820, 54_968),
    ("dorukduran/STM32-Keyword-Driven-Power-Socket", "8.1", spectrum, 251_990, 23_896, 22_400),
    ("hadilaff/Classification-model-STM32F7", "1.0", cats_and_dogs_unpadded, 12_173_163, 3_252_868, 149_484),
    ("CoolBot2/DIY-Alexa-Projekt", "2.2", spectrum, 251_990, 23_896, 22_560),
    ("Projet-M2-GGB/Microphone_wav_SD", "1.0", resized, 295_702, 694_680, 67_120),
    ("TaiHsuan/tabletennis_fatigue_project_for_STM", "2.2", lstm_both_ways, 22_407_536, 533_516, 153_344),
    ("nath54/pi_ir_hager_2025", "3.0", gru, 122_913, 17_160 - 128 - 4, None),
]


@pytest.mark.parametrize(
    ("version", "build", "count", "weights", "activations"), [row[1:] for row in KERAS], ids=[row[0] for row in KERAS]
)
def test_keras_models(
    version: str, build: Callable[[Any], Any], count: int, weights: int, activations: int | None
) -> None:
    from keras import layers

    found = totals(build(layers), version)
    assert found[:2] == (count, weights)
    assert activations is None or found[2] == activations


# --------------------------------------------------------------------------------------- 8-bit TFLite models


def converted(model: Any, path: Path) -> Path:
    """The model with random weights as an 8-bit TFLite file."""
    import numpy as np
    import tensorflow as tf

    generator = np.random.default_rng(1)
    model.set_weights([generator.uniform(0.01, 0.1, array.shape) for array in model.get_weights()])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    shape = (1, *model.inputs[0].shape[1:])
    converter.representative_dataset = lambda: ([generator.random(shape, np.float32)] for _ in range(2))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())
    return path


def test_an_8_bit_mobilenet_of_5_2(tmp_path: Path) -> None:
    """Derekduke/ART-Pi-AI-Demo: ReLU6 counts 2, the softmax 19 with the conversions around it."""
    import keras
    from keras import layers

    inputs = x = keras.Input((96, 96, 3))
    x = layers.ReLU(6.0)(layers.Conv2D(8, 3, strides=2, padding="same")(x))
    blocks = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
    for filters, stride in blocks:
        x = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, strides=stride, padding="same")(x))
        x = layers.ReLU(6.0)(layers.Conv2D(filters, 1)(x))
    x = layers.Conv2D(2, 1)(layers.AveragePooling2D(3)(x))
    model = keras.Model(inputs, layers.Softmax()(layers.Reshape((2,))(x)))
    assert totals(converted(model, tmp_path / "vww.tflite"), "5.2")[:2] == (7_957_848, 219_064)


def test_dilated_convolutions_of_an_8_bit_network_run_in_float(tmp_path: Path) -> None:
    """Manishc-IOT/A-TinyML-Based-Method-for-Real-Time-State-of-Charge-Estimation-Using-TCNonSTM32, version 9.0."""
    import keras
    from keras import layers

    def pair(x: Any, dilation: int) -> Any:
        for _ in range(2):
            x = layers.Conv1D(32, 3, padding="causal", dilation_rate=dilation, activation="relu")(x)
        return x

    inputs = keras.Input((10, 3))
    first = pair(inputs, 1)
    x = layers.ReLU()(layers.Add()([layers.Conv1D(32, 1)(inputs), first]))
    second = pair(x, 2)
    third = pair(layers.ReLU()(layers.Add()([x, second])), 4)
    x = layers.Add()([layers.Add()([first, second]), third])[:, -1, :]
    for units in (32, 16):
        x = layers.Dense(units, activation="relu")(x)
    path = converted(keras.Model(inputs, layers.Dense(1)(x)), tmp_path / "tcn.tflite")
    assert totals(path, "9.0")[:2] == (181_025, 55_000 - 4)  # the tool stores the index of the last step


def intrusions(layers: Any) -> Any:
    dense = [layers.Dense(64, activation="relu"), layers.Dense(32, activation="relu")]
    return chain((11,), *dense, layers.Dense(5, activation="softmax"))


def noises(layers: Any) -> Any:
    blocks = [
        layer
        for filters in (16, 32, 64)
        for layer in (layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D())
    ]
    dense = [layers.Dense(64, activation="relu"), layers.Dense(6, activation="softmax")]
    return chain((64, 63, 1), *blocks, layers.Flatten(), *dense)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        pytest.param(intrusions, (3_088, 3_316, 740), id="laithalarmouti/CAN-Bus-IDS-STM32"),
        pytest.param(noises, (9_914_000, 253_672, 26_560), id="noise classes"),
    ],
)
def test_8_bit_networks_of_2_2(build: Callable[[Any], Any], expected: tuple[int, int, int], tmp_path: Path) -> None:
    from keras import layers

    assert totals(converted(build(layers), tmp_path / "network.tflite"), "2.2") == expected


# ------------------------------------------------------------------------------------------------- wrappers


@pytest.mark.parametrize(("version", "each"), [("5.2", 4 * 3), ("6.0", 4 * 3 + 3)])
def test_layers_in_a_wrapper_count_by_the_version(version: str, each: int) -> None:
    from keras import layers

    assert totals(chain((7, 4), layers.TimeDistributed(layers.Dense(3))), version)[0] == 7 * each
