"""`profile --accounting packed` of a network on grids: to the byte what `hybridq export` writes of it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from effort import within
from hypothesis import HealthCheck, given, settings
from test_integer_network import networks

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.reader import Graph, Operator, read_graph
from hybridq.image.constants import constants_bytes
from hybridq.image.memory_plan import plan
from hybridq.integer.convert import settle
from hybridq.integer.fusion import structure
from hybridq.integer.lowering import integer_network
from hybridq.integer.skeleton import outline
from hybridq.models import build_model
from hybridq.models.config import TCResNetConfig
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile
from hybridq.profiler.accounting import PACKED
from hybridq.profiler.suggest import suggest
from hybridq.quantization.graph import quantized_graph
from hybridq.quantization.model import quantize
from hybridq.recipe.file import load_recipe
from hybridq.runs.experiment import graph_of

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = sorted((ROOT / "recipes" / "deploy").glob("*.yaml"))
HYBRID = ROOT / "recipes" / "deploy" / "hybrid.yaml"
MIXED = PrecisionPlan.from_data(
    {"*": {"outputs": "8-bit"}, "[cd]*": "4-bit", "*_1": "ternary", "*_2": {"weights": "binary", "bias": "8-bit"}}
)


def exported(network):
    """What `hybridq export` says of a network in build.json: constants by layer, the arena."""
    planned = plan(network)
    layers = [step.layer for stage in planned.stages for step in stage.steps if step.layer]
    return {layer.name: constants_bytes(layer) for layer in layers}, planned


def reported(found):
    assert not found.no_image
    return {row.name: row.weights_bytes for row in found.rows}, found.totals.activations_bytes


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(case=networks())
def test_flash_and_arena_are_those_of_the_image(case):
    model, _ = case
    settle(model)
    network = integer_network(model)
    # Weights that are too coarse for the grid of their results are stored in more bits, and dense ones of 4 bits with
    # many zeros without these; all else is known before.
    asked = {layer.name: getattr(layer, "width", None) for layer in outline(structure(read_graph(model))).layers}
    layers = (
        replace(one, width=asked[one.name], weights=0 * one.weights) if asked[one.name] else one
        for one in network.layers
    )
    found = profile(model, accounting="packed")
    constants, planned = exported(replace(network, layers=tuple(layers)))
    assert reported(found) == (constants, planned.arena_bytes)
    assert found.totals.flash_bytes == sum(constants.values())
    assert sorted((one.offset, one.bytes) for one in found.lifetimes) == sorted(
        (one.offset, one.bytes) for one in planned.buffers
    )


def mixed():
    """Layers of all kinds, with tables, batch norms before and behind them, and a mean over a single place."""
    import keras
    from keras import layers

    inputs = x = keras.Input((12, 9, 2), name="mfcc")
    x = layers.BatchNormalization(name="start")(x)
    x = layers.Conv2D(5, 3, activation="elu", padding="same", name="conv")(x)
    x = side = layers.BatchNormalization(name="behind")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise_1")(x)
    x = layers.ReLU(6, name="clip")(layers.BatchNormalization(name="folded")(x))
    x = layers.Conv2D(5, 1, use_bias=False, name="conv_1")(x)
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([x, side]))
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Dense(7, activation="tanh", name="each_2")(x)
    x = layers.LeakyReLU(name="leaky")(x)
    x = layers.Conv2D(4, (6, 4), strides=2, activation="relu6", name="conv_2")(x)
    x = layers.Dropout(0.1, name="drop")(layers.GlobalAveragePooling2D(name="mean")(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="dense")(x), name="mixed")


@pytest.mark.parametrize("build", [mixed, lambda: build_model(TCResNetConfig(channels=(8, 12, 12)), (38, 55), 4)])
def test_a_float_network_under_a_plan_is_the_network_that_is_trained(build):
    model = build()
    trained = quantize(model, MIXED)
    before = profile(model, plan=MIXED, accounting="packed")
    for after in (profile(trained, accounting="packed"), profile(trained, plan=MIXED, accounting="packed")):
        assert reported(before) == reported(after)
        assert before.totals == after.totals
        assert before.widths == after.widths
        assert [(row.precision, row.macc) for row in before.rows] == [(row.precision, row.macc) for row in after.rows]
    layers = outline(structure(read_graph(trained))).layers
    network = integer_network(trained)
    kinds = [(type(layer), layer.name, layer.inputs, layer.shape) for layer in network.layers]
    assert kinds == [(type(layer), layer.name, layer.inputs, layer.shape) for layer in layers]


def test_a_saved_network_is_counted_without_tensorflow(tmp_path):
    trained = quantize(mixed(), MIXED)
    trained.save(tmp_path / "model.keras")
    script = (
        "import json, sys\nfrom hybridq.profiler import profile\n"
        "print(json.dumps(profile(sys.argv[1], accounting='packed').to_json()))\n"
        "assert not {'tensorflow', 'keras', 'qkeras'} & sys.modules.keys()"
    )
    run = [sys.executable, "-c", script, str(tmp_path / "model.keras")]
    said = json.loads(subprocess.run(run, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
    found = profile(trained, accounting="packed")
    assert said["no_image"] is None
    assert {row["name"]: row["weights_bytes"] for row in said["layers"]} == reported(found)[0]
    assert said["totals"]["activations_bytes"] == found.totals.activations_bytes


@pytest.mark.parametrize("path", DEPLOY, ids=lambda path: path.stem)
def test_the_recipes_count_as_their_images(path):
    recipe = load_recipe(path)
    found = profile(graph_of(recipe), recipe.target, recipe.plan, recipe.accounting)
    network = outline(structure(quantized_graph(graph_of(recipe), recipe.plan)))
    constants, planned = exported(network)
    assert reported(found) == (constants, planned.arena_bytes)
    assert found.planner == "depth first (conv2d to max_pooling2d_1 row by row)"


def test_the_reference_network_is_the_measured_image():
    """As pretrained:reference-hybrid; `hybridq verify` counts the structs with the constants."""
    recipe = load_recipe(HYBRID)
    found = profile(graph_of(recipe), plan=recipe.plan, accounting=recipe.accounting)
    assert found.totals.flash_bytes == 58_586
    assert found.totals.ram_bytes == found.totals.activations_bytes == 12_192
    assert found.peak == "conv2d"  # the first of those that run row by row
    first = [one for one in found.lifetimes if one.first == 0]
    assert sum(one.bytes for one in first) == 12_192
    assert {one.last for one in first} == {5, 6}  # to the second pool; what that makes, to the layer behind it
    besides = "takes up to 9.1 KiB of flash, and of RAM 2.1 KiB and the input, "
    assert f"Estimate: the rest of an image {besides}" in " ".join(repr(found).split())
    assert "with input and output 168 B, without the program's own input, 2,090 B, " in " ".join(repr(found).split())


def test_why_figures_are_not_an_images_is_said():
    recipe = load_recipe(ROOT / "recipes" / "paper" / "hybrid.yaml")
    found = profile(graph_of(recipe), plan=recipe.plan, accounting="packed")
    assert found.no_image.startswith("input: its result is not on a grid of 8 bits")
    assert f"Not the figures of an image: {found.no_image}" in " ".join(repr(found).split())
    assert found.to_json()["no_image"] == found.no_image
    assert profile(graph_of(recipe), plan=recipe.plan).no_image == ""
    narrow = PrecisionPlan.from_data({"*": {"outputs": "8-bit"}, "conv2d": {"outputs": "4-bit"}})
    found = profile(graph_of(recipe), plan=narrow, accounting="packed")
    assert found.no_image.startswith("conv2d_outputs: its results have fewer than 8 bits")


def test_a_quantizer_that_has_no_form_in_integers_is_named():
    import keras
    import qkeras

    inputs = keras.Input((4,), name="in")
    x = qkeras.QDense(3, kernel_quantizer=qkeras.quantized_po2(4), name="powers")(inputs)
    model = quantize(keras.Model(inputs, x), PrecisionPlan.from_data({"in": {"outputs": "8-bit"}}))
    message = "powers: weights by quantized_po2 have no form in integers"
    assert message in profile(model, accounting="packed").no_image
    for refused in (integer_network, settle):
        with pytest.raises(UserError, match=message):
            refused(model)


def test_a_network_of_absurd_size_is_not_planned():
    shape, deep = (2**31, 1, 1), {"kernel": (1, 1), "strides": (1, 1), "groups": 1, "activation": "relu"}
    graph = Graph(
        "absurd",
        (
            Operator("in", "InputLayer", (), (), shape),
            Operator("conv", "Conv2D", ("in",), (shape,), shape, {"pads": ((0, 0), (0, 0)), **deep}, 1, 1),
            Operator("flat", "Flatten", ("conv",), (shape,), (2**31,)),
            Operator("dense", "Dense", ("flat",), ((2**31,),), (2,), {"activation": "linear"}, 2**32, 2),
        ),
        ("dense",),
    )
    plan = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})
    report = within(lambda: profile(graph, plan=plan, accounting="packed"))
    assert "rows are more than an image is planned for" in report.no_image


@pytest.mark.parametrize("to", [Format.BINARY, Format.TERNARY, Format.INT4])
def test_a_suggestion_counts_as_the_report(to):
    recipe = load_recipe(DEPLOY[2])
    graph: Graph = graph_of(recipe)
    found = suggest(graph, 60_000, to, recipe.plan, rules=PACKED)
    assert found.start_bytes == profile(graph, plan=recipe.plan, accounting="packed").totals.flash_bytes
    assert found.changes
    assert found.flash_bytes == profile(graph, plan=found.plan, accounting="packed").totals.flash_bytes
    trained = quantized_graph(graph, recipe.plan)
    again = suggest(trained, 60_000, to, rules=PACKED)
    assert again.changes == found.changes
    assert profile(trained, plan=again.plan, accounting="packed").totals.flash_bytes == again.flash_bytes
