"""ST's tool, version by version: the figures of real reports, and what its rules say of the reference network."""

import json
from pathlib import Path

import pytest

from hybridq.errors import UserError
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile
from hybridq.profiler.accounting import NEWEST, VERSIONS, accounting

REPORTS = Path(__file__).resolve().parent.parent.parent / "shared" / "facts" / "xcube"


def reports(suffix):
    """The published reports on models of that kind whose models are at hand."""
    if not (REPORTS / "pairs.json").is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason="the published reports are not beside this checkout"))]
    pairs = [pair for pair in json.loads((REPORTS / "pairs.json").read_text()) if pair["model"].endswith(suffix)]
    return [pytest.param(pair, id=f"{Path(pair['model']).stem[:24]} {pair['version']}") for pair in pairs]


def rules_of(pair):
    version = ".".join(pair["version"].lstrip("v").split(".")[:2])
    return f"x-cube-ai:{version}" + (":time" if pair["optimization"] == "time" else "")


@pytest.mark.parametrize("pair", reports(".h5"))
def test_every_report_on_a_keras_model_is_met_to_the_byte(pair):
    totals = profile(REPORTS / pair["model"], accounting=rules_of(pair)).totals
    assert totals.macc == pair["macc"]
    assert totals.weights_bytes == pair["weights_ro"]
    assert totals.activations_bytes == pair["activations_rw"]
    assert totals.ram_bytes == pair["ram_total"]


UNCOVERED = {"nammannam"}  # RAM of networks that branch


@pytest.mark.parametrize("pair", reports(".tflite"))
def test_every_report_on_a_tflite_model_is_met_where_the_rules_cover_it(pair):
    totals = profile(REPORTS / pair["model"], accounting=rules_of(pair)).totals
    author = Path(pair["model"]).name.split("+")[0]
    assert totals.macc == pair["macc"]
    assert totals.weights_bytes == pair["weights_ro"]
    if author not in UNCOVERED:
        assert totals.activations_bytes == pair["activations_rw"]
        assert totals.ram_bytes == pair["ram_total"]


def test_versions_are_found_by_name():
    assert accounting() == NEWEST
    assert accounting("x-cube-ai:8.1").label == "x-cube-ai 8.1"
    assert accounting("x-cube-ai:2.2").label == "x-cube-ai core 2.2"
    assert accounting("x-cube-ai:5.2").buffers_inside is False
    assert accounting("x-cube-ai:7").label == "x-cube-ai 7.0"
    assert accounting("x-cube-ai:7.1").edge_unpadded == 1
    assert not accounting("x-cube-ai:5.2").dense_bias
    assert accounting("x-cube-ai:6.1").dense_bias
    assert not accounting("x-cube-ai:8.1:time").in_place
    assert accounting("x-cube-ai:2.1:ram").label == "x-cube-ai core 2.1, optimised for RAM"
    assert [accounting(f"x-cube-ai:{'.'.join(map(str, row.version))}") for row in VERSIONS] == list(VERSIONS)


@pytest.mark.parametrize(
    ("number", "core"),
    [("9.0", "1.0"), ("9.1", "1.1"), ("10.0", "2.0"), ("10.2", "2.2"), ("11", "3.0"), ("12.0", "4.0")],
)
def test_x_cube_ai_has_core_inside_from_9_0_on(number, core):
    assert accounting(f"x-cube-ai:{number}") == accounting(f"x-cube-ai:{core}")
    assert accounting(f"x-cube-ai:{number}").label == f"x-cube-ai core {core}"


UNKNOWN = ["0.9", "8.x", "8:fast", "8.2", "2.3", "4.1", "10.3", "12.1", "13"]


@pytest.mark.parametrize("name", ["", "x-cube", "packed:1", *(f"x-cube-ai:{number}" for number in UNKNOWN)])
def test_other_names_are_refused(name):
    with pytest.raises(UserError, match="is not an accounting; known are packed, tflm, x-cube-ai"):
        accounting(name)


def test_an_image_of_our_own_stores_the_scales_of_quantized_kernels():
    graph = Graph(
        "two",
        (
            Operator("in", "InputLayer", (), (), (100,)),
            Operator("a", "Dense", ("in",), ((100,),), (50,), {}, 5000, 50),
            Operator("b", "Dense", ("a",), ((50,),), (10,), {}, 500, 10),
        ),
        ("b",),
    )
    plan = PrecisionPlan.from_data({"a": "binary", "b": {"weights": "8-bit", "outputs": "8-bit"}})
    totals = profile(graph, plan=plan, accounting="packed").totals
    assert totals.flash_bytes == 5000 // 8 + 4 * 50 + 4 * 50 + 500 + 4 * 10 + 52  # weights, biases, scales; ten of 5 B
    assert profile(graph, plan=plan).totals.flash_bytes == 5000 // 8 + 4 * 50 + 500 + 4 * 10
    assert profile(graph, accounting="packed").totals.flash_bytes == 4 * 5560
    assert totals.ram_bytes == totals.activations_bytes == 4 * (100 + 50)
