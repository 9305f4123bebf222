"""The memory report of the reference network against its published figures, and by its precisions."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.reader import Graph, read_graph
from hybridq.models import build_model
from hybridq.models.config import ReferenceConfig
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile as profile_by_version
from hybridq.profiler import standard_plans

profile = partial(profile_by_version, accounting="x-cube-ai:7.1")  # the version of the published report
# X-CUBE-AI's report on the float reference network, as published in Guarneri et al., "Hybrid Quantization for
# Vocal Commands Recognition on Microcontroller" (STMicroelectronics): (layer, % of macc, % of flash).
PUBLISHED_SHARES = [
    ("conv2d", 3.1, 0.0),
    ("batch_normalization", 0.3, 0.0),
    ("conv2d_1", 25.3, 0.4),  # with its pool
    ("batch_normalization_1", 0.1, 0.0),
    ("conv2d_2", 12.3, 0.8),
    ("batch_normalization_2", 0.2, 0.0),
    ("conv2d_3", 23.9, 1.7),  # with its pool
    ("batch_normalization_3", 0.0, 0.0),
    ("conv2d_4", 10.9, 3.3),
    ("batch_normalization_4", 0.1, 0.0),
    ("conv2d_5", 21.4, 6.6),  # its batch norm folded
    ("dense", 2.3, 86.2),  # with its activation
    ("dense_1", 0.0, 0.7),  # with its activation
    ("batch_normalization_6", 0.0, 0.0),
    ("dense_2", 0.0, 0.1),  # with the softmax
]
PUBLISHED_MACC, PUBLISHED_WEIGHTS, PUBLISHED_IO, PUBLISHED_ACTIVATIONS = 20_496_832, 2_225_384, 8_400, 144_384
HYBRID = PrecisionPlan.from_data({"conv*": "8-bit", "dense*": "binary", "dense_2": "8-bit"})


def reference(padding: Any, norm: Any, activation: Any = "elu") -> Graph:
    config = ReferenceConfig(name="reference", padding=padding, norm=norm, activation=activation)
    return read_graph(build_model(config, (38, 55), 10))


@pytest.fixture(scope="module")
def same() -> Graph:
    return reference("same", "after_pool")


@pytest.fixture(scope="module")
def valid() -> Graph:
    return reference("valid", "before_pool")


def test_totals_of_the_published_float_network(same: Graph) -> None:
    totals = profile(same).totals
    assert totals.macc == PUBLISHED_MACC
    assert totals.weights_bytes == totals.flash_bytes == totals.published_rule_bytes == PUBLISHED_WEIGHTS
    assert totals.io_bytes == PUBLISHED_IO
    assert totals.activations_bytes == PUBLISHED_ACTIVATIONS
    assert totals.ram_bytes == PUBLISHED_ACTIVATIONS + PUBLISHED_IO
    assert (round(totals.flash_bytes / 2**20, 2), round(totals.ram_bytes / 2**10, 2)) == (2.12, 149.20)
    assert not totals.fits


def test_every_published_share(same: Graph) -> None:
    rows = profile(same).rows
    assert [(row.name, round(row.macc_share, 1), round(row.flash_share, 1)) for row in rows] == PUBLISHED_SHARES


def test_the_activation_may_stand_in_the_layer_or_after_it(same: Graph) -> None:
    import keras
    from keras import layers

    inputs = x = keras.Input((38, 55, 1))
    for i, filters in enumerate((16, 16, 32, 32, 64, 64)):
        x = layers.Conv2D(filters, 3, padding="same", name=f"conv2d_{i}" if i else "conv2d")(x)
        x = layers.BatchNormalization(name="folded")(x) if i == 5 else x
        x = layers.ELU()(x) if i % 2 else layers.Activation("elu")(x)
        x = layers.MaxPooling2D()(x) if i in (1, 3) else x
        x = (
            layers.BatchNormalization(name=f"batch_normalization_{i}" if i else "batch_normalization")(x)
            if i < 5
            else x
        )
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    x = layers.Activation("elu")(layers.Dense(64, name="dense")(x))
    x = layers.Activation("elu")(layers.Dense(64, name="dense_1")(x))
    x = layers.BatchNormalization(name="batch_normalization_6")(x)
    x = layers.Softmax()(layers.Dense(10, name="dense_2")(x))
    apart = profile(keras.Model(inputs, x))
    together = profile(same)
    assert apart.totals == together.totals
    figures = [[(row.name, row.macc, row.weights_bytes) for row in report.rows] for report in (apart, together)]
    assert figures[0] == figures[1]


@pytest.mark.parametrize(("norm", "macc"), [("before_pool", 10_467_328), ("after_pool", 10_411_808)])
def test_macc_of_the_network_without_padding(norm: str, macc: int) -> None:
    assert profile(reference("valid", norm)).totals.macc == macc  # published: 10.5 M


def test_flash_of_the_published_quantized_rows(valid: Graph) -> None:
    int8 = PrecisionPlan.from_data({"*": "8-bit"})
    assert profile(valid).totals.flash_bytes == 505_064
    assert profile(valid, plan=int8).totals.published_rule_bytes == 505_064  # published: 0.48 MB
    assert profile(valid, plan=HYBRID).totals.published_rule_bytes == 79_760  # published: 0.076 MB
    assert (round(505_064 / 2**20, 2), round(79_760 / 2**20, 3)) == (0.48, 0.076)


def test_packed_flash_of_the_hybrid_network(valid: Graph) -> None:
    biases, norms = 4 * (224 + 64 + 64 + 10), 4 * 2 * (16 + 16 + 32 + 32 + 64 + 64)
    kernels = 71_568 + (768 * 64 + 64 * 64) // 8 + 640
    assert profile(valid, plan=HYBRID).totals.flash_bytes == kernels + biases + norms


def test_activations_of_a_published_report_on_a_sequence_network() -> None:
    """Tool 7.1, public project Alexiaxiaxia/Alexia: 24,120 MACC, 48,300 B, activations 1,600 B, io 324 B."""
    import keras
    from keras import layers

    convs = [layers.Conv1D(16, 3, activation="relu"), layers.Conv1D(8, 3, activation="relu")]
    dense = [layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(3, activation="softmax")]
    totals = profile(keras.Sequential([keras.Input((26, 3)), *convs, *dense])).totals
    assert (totals.macc, totals.weights_bytes) == (24_120, 48_300)
    assert (totals.activations_bytes, totals.io_bytes) == (1_600, 312 + 12)


def test_eight_bit_outputs_shrink_the_activations(valid: Graph) -> None:
    narrow = PrecisionPlan.from_data({"*": {"weights": "8-bit", "bias": "8-bit", "outputs": "8-bit"}})
    wide, less = profile(valid).totals, profile(valid, plan=narrow).totals
    assert less.activations_bytes * 4 == wide.activations_bytes
    assert less.io_bytes == 38 * 55 * 4 + 10  # the features arrive as float32


def test_a_quantized_model_costs_what_its_plan_says(valid: Graph) -> None:
    from hybridq.quantization.model import quantize

    config = ReferenceConfig(name="reference", padding="valid", norm="before_pool")
    plan = PrecisionPlan.from_data(
        {
            "conv*": {"weights": "8-bit", "bias": "8-bit", "outputs": "8-bit"},
            "dense*": "binary",
            "dense_2": "ternary",
        }
    )
    quantized = profile(quantize(build_model(config, (38, 55), 10), plan))
    planned = profile(valid, plan=plan)
    assert quantized.totals == planned.totals
    assert [(r.name, r.weights_bytes, r.macc) for r in quantized.rows] == [
        (r.name, r.weights_bytes, r.macc) for r in planned.rows
    ]


def test_a_folded_batch_norm_gives_its_convolution_a_bias() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 1))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False, name="conv")(inputs))
    (row,) = profile(keras.Model(inputs, x)).rows
    assert (row.weights_bytes, row.macc, row.marks) == (4 * (36 + 4), 36 * 4 * 9 + 4, ("norm",))


def test_a_pattern_without_a_layer_is_an_error(valid: Graph) -> None:
    with pytest.raises(UserError, match="matches no layer; the nearest layer is 'dense'"):
        profile(valid, plan=PrecisionPlan.from_data({"dens": "8-bit"}))


def test_standard_plans(valid: Graph) -> None:
    plans = standard_plans(valid)
    assert profile(valid, plan=plans["hybrid"]).totals == profile(valid, plan=HYBRID).totals
    assert dict(profile(valid).plans) == {
        label: profile(valid, plan=plan).totals.flash_bytes for label, plan in plans.items() if label != "int8-weights"
    }  # which has the flash of int8
    assert profile(valid, plan=HYBRID).plans == ()


WIDTHS = st.sampled_from(sorted(Format, key=lambda p: -p.bits))


NAMES = [*(f"conv2d_{i}" if i else "conv2d" for i in range(6)), "dense", "dense_1", "dense_2"]


@settings(max_examples=60, deadline=None)
@given(
    wide=st.lists(WIDTHS, min_size=9, max_size=9),
    layer=st.integers(0, 8),
    part=st.sampled_from(["weights", "bias"]),
)
def test_fewer_bits_never_take_more_flash(valid: Graph, wide: list[Format], layer: int, part: str) -> None:
    flash, last = [], None
    for precision in sorted(Format, key=lambda p: -p.bits):
        data: dict[str, Any] = {name: {"weights": p.value} for name, p in zip(NAMES, wide, strict=True)}
        data[NAMES[layer]][part] = precision.value
        report = profile(valid, plan=PrecisionPlan.from_data(data))
        flash.append(report.totals.flash_bytes)
        assert report.totals.flash_bytes == sum(row.weights_bytes or 0 for row in report.rows)
        assert last is None or report.totals.macc == last
        last = report.totals.macc
    assert flash == sorted(flash, reverse=True)
    assert len(set(flash)) == len({precision.bits for precision in Format})  # 2-bit and ternary take the same


def test_fits_is_about_flash_and_ram(valid: Graph, tmp_path: Path) -> None:
    assert profile(valid, "stm32l496").totals.fits
    assert not profile(valid, "stm32f411").totals.fits  # 130.7 KiB of RAM, it has 128
    totals = profile(valid, "stm32l476").totals
    assert totals.target_ram_share == pytest.approx(100 * totals.ram_bytes / (128 * 1024))
