"""The report in its forms; the script that prints it is in `test_report_script.py`."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from tflite_builds import SMALL

from hybridq.graph.reader import Graph, Operator
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile, render, target
from hybridq.profiler.accounting import VERSIONS, Accounting
from hybridq.profiler.diff import Diff
from hybridq.profiler.render.words import listed
from hybridq.profiler.report import Held
from hybridq.profiler.result import Result
from hybridq.profiler.suggest import suggest
from hybridq.profiler.targets import custom_target
from hybridq.settings.units import format_size

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "profiler.md"


def network(*units: int, names: tuple[str, ...] = ()) -> Graph:
    """Dense layers in a row, the first number the width of the input."""
    ops = [Operator("in", "InputLayer", (), (), units[:1])]
    for i, (wide, out) in enumerate(itertools.pairwise(units)):
        name = names[i] if names else f"dense_{i}"
        ops.append(Operator(name, "Dense", (ops[-1].name,), ((wide,),), (out,), {}, wide * out, out))
    return Graph("small", tuple(ops), (ops[-1].name,))


def text_of(report: Result, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(render.terminal(report))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_json_is_plain_data() -> None:
    data = profile(network(100, 50, 10)).to_json()
    assert json.loads(json.dumps(data)) == data
    assert (data["schema"], data["name"], data["accounting"]) == (1, "small", "x-cube-ai core 2.2")
    assert data["target"]["name"] == "stm32l496"


# ------------------------------------------------------------------------------------------ what the guide says


def table_below(heading: str) -> list[dict[str, str]]:
    """The first table below a heading of the guide, a dictionary a row."""
    lines = GUIDE.read_text().split(f"\n## {heading}", 1)[1].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = list(itertools.takewhile(lambda line: line.startswith("|"), lines[first:]))
    head, _, *body = ([cell.strip() for cell in row.strip("|").split("|")] for row in rows)
    return [dict(zip(head, cells, strict=True)) for cells in body]


def keys_of(data: object, path: str = "") -> set[str]:
    """All keys in plain data, nested ones as "totals.macc"; what is in a list counts as if it stood there."""
    if isinstance(data, list):
        return set().union(*(keys_of(one, path) for one in data))
    if not isinstance(data, dict):
        return set()
    return set().union(*({f"{path}{key}"} | keys_of(value, f"{path}{key}.") for key, value in data.items()))


@pytest.mark.parametrize("page", [GUIDE, ROOT / "README.md"])
def test_what_is_said_of_python_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if "report = hybridq.profile(" in block]
    exec(code, {"model": network(100, 50, 10)})
    assert "small on STM32L496" in capsys.readouterr().out


def test_the_guide_documents_each_key_of_the_json(tmp_path: Path) -> None:
    documented = set()
    for row in table_below("JSON"):
        for key in re.findall(r"`([^`]+)`", row["key"]):
            documented |= {key, *(f"{key}.{inner}" for inner in re.findall(r"`([^`]+)`", row["meaning"]))}
    graph = network(100, 50, 10)
    odd = Operator("odd", "unknown: Odd", ("dense_1",), ((10,),), (1,))
    plan = PrecisionPlan.from_data({"dense_0": {"weights": "8-bit", "outputs": "8-bit"}})
    reports = [
        replace(
            profile(graph, custom_target("5KiB"), plan=plan),
            stored_wider=(("dense_0", "6-bit", "8-bit"),),
            file=Held(10, ("dense_0",), ()),
        ),
        profile(Graph("odd", (*graph.operators, odd), ("odd",)), target("hello-edge-small")),
    ]
    (tmp_path / "small.tflite").write_bytes(SMALL)
    reports.append(profile(tmp_path / "small.tflite", accounting="tflm"))
    # the names of plans are data, not keys
    found = {key for report in reports for key in keys_of(report.to_json()) if not key.startswith("plans.")}
    assert found == documented


def test_the_guide_s_table_of_versions_is_that_of_the_code() -> None:
    said = table_below("Accountings")
    columns = {
        "inputs and outputs in the arena": "buffers_inside",
        "pool in convolution": "merges_pools",
        "batch norm folded forwards": "folds_forward",
        "window scratch": "window_scratch",
        "edge unpadded (pixels)": "edge_unpadded",
        "edge padded": "edge_padded",
        "bias of a dense layer counts": "dense_bias",
        "MACC of ELU": "elu",
        "of float ReLU6": "relu6",
        "of 8-bit ReLU6": "int8_relu6",
        "of 8-bit softmax": "int8_softmax",
        "clipped results twice": "unclipped",
        "clipping: around the fullest step": "around_clipping",
        "branching: around it": "around_branching",
    }
    by_version = {"version", "core", *columns.values()}
    of_any_version = {"in_place", "copies", "own", "tflm"}
    assert {field.name for field in fields(Accounting)} - by_version == of_any_version
    words = {True: "yes", False: "no"}
    assert said == [
        {"version": f"`x-cube-ai:{'.'.join(map(str, rules.version))}`" + " (Core)" * rules.core}
        | {
            column: words[value] if isinstance(value := getattr(rules, name), bool) else str(value)
            for column, name in columns.items()
        }
        for rules in VERSIONS
    ]


# ------------------------------------------------------------------------------------------------- the figures


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=2, max_size=12))
def test_totals_are_the_sums_of_the_layers(units: list[int]) -> None:
    data = profile(network(*units), accounting="x-cube-ai:5.2").to_json()
    layers, totals = data["layers"], data["totals"]
    for key in ("macc", "weights_bytes", "parameters"):
        assert totals[key] == sum(layer[key] for layer in layers)
    assert sum(layer["flash_share"] for layer in layers) == pytest.approx(100)
    assert sum(layer["macc_share"] for layer in layers) == pytest.approx(100)
    assert totals["ram_bytes"] == totals["activations_bytes"] + totals["io_bytes"]
    newest = profile(network(*units)).to_json()
    assert newest["io_in_activations"]
    assert newest["totals"]["ram_bytes"] == newest["totals"]["activations_bytes"] >= totals["io_bytes"] / 2


def test_parameters_and_macc_by_width() -> None:
    plan = PrecisionPlan.from_data({"dense_0": "binary", "dense_1": "8-bit"})
    report = profile(network(100, 50, 10), plan=plan)
    assert [(w.bits, w.parameters, w.macc) for w in report.widths] == [(32, 60, 0), (8, 500, 510), (1, 5000, 5050)]
    assert "32-bit 60 and 0; 8-bit 500 and 510; 1-bit 5,000 and 5,050" in text_of(report)
    assert len(profile(network(100, 50, 10)).widths) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=2, max_size=12))
def test_the_dominant_layers_are_the_fewest_that_hold_most(units: list[int]) -> None:
    report = profile(network(*units))
    names, share = report.dominant
    assert share >= 80
    assert share == pytest.approx(sum(r.flash_share for r in report.rows if r.name in names))
    assert share - min(r.flash_share for r in report.rows if r.name in names) < 80


def test_table_fits_100_columns_and_says_what_matters() -> None:
    text = text_of(profile(network(3000, 400, 64, 10)))
    assert max(map(len, text.splitlines())) <= 100
    assert "dense_0 holds 97.9 % of the flash" in text
    assert "Does not fit STM32L496" in text
    assert "With hybrid weights" in text
    assert "With int8 weights" in text
    plan = PrecisionPlan.from_data({"*": {"weights": "8-bit", "bias": "4-bit", "outputs": "8-bit"}})
    text = text_of(profile(network(2**20, 2**10, 10, names=("a_layer_with_a_very_long_name" * 3, "b")), plan=plan))
    assert max(map(len, text.splitlines())) <= 100
    assert "1,073,742,848" in text
    assert "8-bit b4 o8" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_a_narrow_terminal_leaves_columns_out_but_cuts_no_figure(width: int) -> None:
    report = profile(network(3000, 400, 64, 10, names=("a_long_name_of_a_layer" * 3, "größe", "層")))
    table = text_of(report, width).split("Total:")[0]
    for row in report.rows:
        assert f" {row.weights_bytes:,} " in table
        assert f" {row.macc:,} " in table
    assert ("Parameters" in table) == (width >= 100)
    assert "größe" in table
    for shown in (report, Diff(report, report), suggest(network(3000, 400, 64, 10), 10_000)):
        assert max(map(cell_len, text_of(shown, width).splitlines())) <= width


def test_the_verdict_says_by_how_much() -> None:
    report = profile(network(3000, 400, 64, 10), custom_target("1MiB", "10KiB"))
    over = report.totals.ram_bytes - 10 * 1024
    said = f"exceeds flash by 3.68 MiB and RAM by {over / 1024:.1f} KiB"
    for text in (repr(report), render.markdown(report)):
        assert said in " ".join(text.split())
    assert report.to_json()["exceeded"] == [
        {"name": "flash", "needed": 4_906_856, "allowed": 2**20},
        {"name": "RAM", "needed": report.totals.ram_bytes, "allowed": 10 * 1024},
    ]


def test_activations_that_fit_no_block_of_the_ram() -> None:
    wide = network(70_000, 70_000)
    assert "do not fit the largest block of RAM, 512.0 KiB" in repr(profile(wide, "stm32h743"))
    assert "largest block" not in repr(profile(wide, "stm32u585"))


def test_a_list_of_names_stays_short() -> None:
    assert [listed(list("abcdefg")[:n]) for n in (0, 1, 2, 5, 7)] == [
        "",
        "a",
        "a and b",
        "a, b, c, d and e",
        "a, b, c, d and 3 more",
    ]
    assert len(listed(["x" * 1000])) == 60


def test_names_are_text_not_markup() -> None:
    assert "[red]x[/red]" in text_of(profile(network(3, 4, names=("[red]x[/red]",))))


def test_csv_and_markdown_hold_every_layer() -> None:
    report = profile(network(30, 20, 10, names=("a,b", "c|d")))
    rows = list(csv.DictReader(io.StringIO(render.csv(report))))
    assert [(row["name"], int(row["weights_bytes"])) for row in rows] == [("a,b", 4 * 620), ("c|d", 4 * 210)]
    assert sum(float(row["flash_share"]) for row in rows) == pytest.approx(100, abs=0.001)
    text = render.markdown(report)
    assert "| c\\|d | 10 | float32 | 210 | 840 | 210 |" in text
    assert text.endswith("\n")


def test_layers_without_a_rule_show_in_every_form() -> None:
    ops = network(8, 4).operators
    unknown = Operator("odd", "unknown: Odd", (ops[-1].name,), ((4,),), ())
    report = profile(Graph("odd", (*ops, unknown), ("odd",)))
    for text in (text_of(report), render.markdown(report)):
        assert "Not costed, the totals leave them out: odd (unknown: Odd)" in text
        assert "?" in text
    assert report.to_json()["layers"][-1]["macc"] is None
    assert render.csv(report).splitlines()[-1] == "odd,unknown: Odd,?,,,,,,,0.0,0.0"


def test_sizes() -> None:
    said = ["0 B", "640 B", "77.9 KiB", "2.12 MiB", "1,000.00 GiB"]
    assert [format_size(n) for n in (0, 640, 79_760, 2_225_384, 1000 * 2**30)] == said
