"""TFLite files as people have them: states, sparse and dynamic-range weights, outputs that nothing decides."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stranger_files import cut, flipped, overwritten, read_or_refused
from tflite_builds import KEEPING, Writer

from hybridq.graph.reader import Graph, read_graph
from hybridq.image.export import export
from hybridq.precision import PrecisionPlan
from hybridq.profiler import Profile, profile, render, standard_plans
from hybridq.profiler.suggest import suggest
from hybridq.tflite.reading import read_tflite

FACTS = Path(__file__).resolve().parent.parent.parent / "shared" / "facts"
given = pytest.mark.skipif(not (FACTS / "wild").is_dir(), reason="the files are not beside this checkout (../shared)")


def said(report: Profile) -> str:
    return " ".join(note.text for note in render.sheet(report).notes)


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keeping") / "keeping.tflite"
    path.write_bytes(KEEPING)
    return path


def test_states_are_kept_above_the_arena(keeping: Path) -> None:
    report = profile(keeping)
    assert not report.not_costed
    kept = {one.tensor: one for one in report.lifetimes if "(state)" in one.tensor}
    assert {name: one.bytes for name, one in kept.items()} == {
        "read_variable_1 (state)": 2 * 8,
        "svdf_7 (state)": 4 * 7 * 2,  # int16
    }
    others = [one.end for name, one in ((one.tensor, one) for one in report.lifetimes) if name not in kept]
    assert all(one.offset >= max(others) for one in kept.values())
    assert all((one.first, one.last) == (0, len(report.rows) - 1) for one in kept.values())


def test_filters_in_time_count_their_weights_once(keeping: Path) -> None:
    rows = {row.kind: row for row in profile(keeping).rows}
    assert rows["SVDF"].parameters == 4 * 30 + 4 * 7 + 2
    assert rows["SVDF"].macc == 4 * 30 + 4 * 7 + 2
    assert rows["SVDF"].output_shape == (2,)
    assert [row.kind for row in profile(keeping).rows if row.kind.endswith("Variable")] == [
        "ReadVariable",
        "AssignVariable",
    ]


def test_sparse_weights_are_counted_with_their_zeros(keeping: Path) -> None:
    report = profile(keeping)
    assert report.file
    assert report.file.sparse == ("fully_connected_9",)
    assert report.rows[-1].parameters == 12
    assert report.totals.flash_bytes - report.file.bytes == 12 - (5 + 4 * 7 + 2 * 5)
    assert "sparse there, counted with the zeros" in said(report)


def test_mutated_files_of_these_are_read_or_refused(keeping: Path, tmp_path: Path) -> None:
    rng = random.Random(11)
    for number in range(150):
        path = tmp_path / "a.tflite"
        path.write_bytes((flipped, overwritten, cut)[number % 3](KEEPING, rng))
        read_or_refused(path)


@pytest.fixture(scope="module")
def dense() -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    inputs = keras.Input((64,))
    x = layers.Dense(64, activation="relu", bias_initializer="normal")(inputs)
    return keras.Model(inputs, layers.Dense(40, activation="softmax", bias_initializer="normal")(x))


def converted(model: Any, path: Path, **settings: Any) -> Graph:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for name, value in settings.items():
        setattr(converter, name, value)
    path.write_bytes(converter.convert())
    return read_graph(path)


@pytest.fixture(scope="module")
def dynamic(dense: Any, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """Its weights are 8-bit, its tensors float."""
    import tensorflow as tf

    return converted(dense, tmp_path_factory.mktemp("dense") / "a.tflite", optimizations=[tf.lite.Optimize.DEFAULT])


def test_dynamic_range_weights_are_expanded_and_the_file_is_said(dense: Any, dynamic: Graph) -> None:
    report, floating = profile(dynamic), profile(dense)
    assert report.totals.flash_bytes == floating.totals.flash_bytes
    assert {str(row.precision.weights) for row in report.rows if row.precision} == {"float32"}
    assert report.file
    assert report.file.bytes == 64 * 64 + 64 * 40 + 4 * (64 + 40)
    assert report.file.expanded == tuple(row.name for row in report.rows)
    assert "are expanded to float32, as they compute in float" in said(report)


def test_a_suggestion_begins_with_the_figure_of_the_report(dynamic: Graph) -> None:
    flash = profile(dynamic).totals.flash_bytes
    found = suggest(dynamic, flash // 2)
    assert found.start_bytes == flash
    assert profile(dynamic, plan=found.plan).totals.flash_bytes == found.flash_bytes


def int8(model: Any, path: Path) -> Graph:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shape = model.input_shape[1:]
    return converted(
        model,
        path,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([rng.random((1, *shape), np.float32)] for _ in range(3)),
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Graph]:
    """A model of Keras, and the int8 file of it."""
    import keras
    from keras import layers

    inputs = keras.Input((16, 16, 4))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", bias_initializer="normal")(inputs)
    x = layers.MaxPooling2D()(layers.DepthwiseConv2D(3, activation="relu", bias_initializer="normal")(x))
    x = layers.Dense(12, activation="relu", bias_initializer="normal")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(5, activation="softmax", bias_initializer="normal")(x))
    return model, int8(model, tmp_path_factory.mktemp("int8") / "a.tflite")


def test_the_plan_int8_is_the_int8_file(pictures: tuple[Any, Graph]) -> None:
    model, file = pictures
    for version in ("x-cube-ai:7.1", "x-cube-ai:8.1", "x-cube-ai"):
        planned = profile(model, plan=standard_plans(read_graph(model))["int8"], accounting=version).totals
        found = profile(file, accounting=version).totals
        assert (planned.macc, planned.ram_bytes, planned.io_bytes) == (found.macc, found.ram_bytes, found.io_bytes)
        assert planned.flash_bytes == found.flash_bytes


def test_no_standard_plan_makes_an_int8_file_larger(pictures: tuple[Any, Graph], keeping: Path) -> None:
    for graph in (pictures[1], read_graph(keeping)):
        now = profile(graph).totals
        for label, plan in standard_plans(graph).items():
            planned = profile(graph, plan=plan).totals
            assert planned.flash_bytes <= now.flash_bytes, label
            assert planned.ram_bytes <= now.ram_bytes, label
    assert profile(graph, plan=standard_plans(graph)["int8"]).totals == now


def test_the_plan_of_weights_alone_leaves_tensors(pictures: tuple[Any, Graph]) -> None:
    plans, floating = standard_plans(read_graph(pictures[0])), profile(pictures[0]).totals
    weights = profile(pictures[0], plan=plans["int8-weights"]).totals
    assert weights.ram_bytes == floating.ram_bytes
    assert weights.flash_bytes < floating.flash_bytes


def test_a_plan_leaves_what_it_does_not_name_as_the_file_has_it(pictures: tuple[Any, Graph]) -> None:
    plan = PrecisionPlan.from_data({"fully_connected*": "binary"})
    before, after = profile(pictures[1]), profile(pictures[1], plan=plan)
    assert after.totals.ram_bytes == before.totals.ram_bytes
    assert [row.weights_bytes for row in after.rows[:2]] == [row.weights_bytes for row in before.rows[:2]]


def test_the_figures_of_an_int8_file_are_those_of_its_image(pictures: tuple[Any, Graph], tmp_path: Path) -> None:
    report = profile(pictures[1], accounting="packed")
    build = export(read_tflite(Path(pictures[1].file)), tmp_path / "image")
    assert not report.no_image
    assert report.totals.ram_bytes == build["arena_bytes"]
    assert report.totals.flash_bytes == sum(layer["constants_bytes"] for layer in build["layers"])
    narrow = profile(pictures[1], plan=PrecisionPlan.from_data({"fully*": "binary"}), accounting="packed")
    assert narrow.no_image.startswith("an image takes a .tflite file as it is")


@pytest.mark.parametrize("conversion", [True, False])
def test_an_output_that_no_input_decides_is_stored(tmp_path: Path, conversion: bool) -> None:
    writer = Writer()
    relu = writer.add("RELU", [writer.input(1, 4, kind="INT8")], 1, 4, kind="INT8")
    tiles = [writer.weights(1, 3, 4, kind=np.int8, scales=1), writer.constant(np.int32([1, 2, 1]))]
    anchors = writer.add("TILE", tiles, 1, 6, 4, kind="INT8")
    if conversion:
        anchors = writer.add("DEQUANTIZE", [anchors], 1, 6, 4)
    writer.graph.outputs = [relu, anchors]
    report = profile(writer.read(tmp_path))
    assert report.totals.flash_bytes == 6 * 4  # as int8
    assert [row.kind for row in report.rows] == ["ReLU", "Constant", *["Dequantize"] * conversion]
    assert report.rows[1].output_shape == (6, 4)


# What is known of each: parameters, MACC, flash, and what the file holds.
WILD = {
    "dynamic_range": (185_414, 185_952, 741_656, 187_928),
    "sparse_int8": (80_582, 80_672, 81_176, 63_370),
    "svdf_keyword": (21_474, 21_700, 22_728, None),
}


@given
@pytest.mark.parametrize("name", WILD)
def test_files_of_others(name: str) -> None:
    report = profile(FACTS / "wild" / f"{name}.tflite")
    totals = report.totals
    held = report.file.bytes if report.file else None
    assert not report.not_costed
    assert (totals.parameters, totals.macc, totals.flash_bytes, held) == WILD[name]


@given
@pytest.mark.parametrize(("name", "states", "macc"), [("alexa", 3_024, 24_484), ("okay_nabu", 3_472, 24_612)])
def test_wake_words_of_others(name: str, states: int, macc: int) -> None:
    report = profile(FACTS / "wakeword" / f"{name}.tflite")
    assert not report.not_costed
    assert sum(one.bytes for one in report.lifetimes if "(state)" in one.tensor) == states
    assert report.totals.macc == macc


@given
def test_weights_of_networks_that_find_objects() -> None:
    rows = json.loads((FACTS / "modelzoo" / "pairs.json").read_text())
    rows = [row for row in rows if Path(row["model"]).name.startswith("st_ssd")]
    assert len(rows) == 3
    for row in rows:
        report = profile(FACTS / "modelzoo" / row["model"], accounting="x-cube-ai:8.1")
        assert round(report.totals.flash_bytes / 1024, 2) == row["weights_kib"]
