"""The report as a page, and two reports side by side."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hybridq.arena.planners import Lifetime
from hybridq.formats import Format
from hybridq.graph.reader import Graph, Operator
from hybridq.precision import PrecisionPlan
from hybridq.profiler import TARGETS, profile, render
from hybridq.profiler.diff import Diff
from hybridq.profiler.render.markup import COLOURS
from hybridq.profiler.suggest import suggest
from hybridq.profiler.targets import custom_target

VOID = {"meta", "br", "link", "img"}


def network(*units: int, names: tuple[str, ...] = (), name: str = "small") -> Graph:
    """Dense layers in a row, the first number the width of the input."""
    ops = [Operator("in", "InputLayer", (), (), units[:1])]
    for i, (wide, out) in enumerate(itertools.pairwise(units)):
        layer = names[i] if names else f"dense_{i}"
        ops.append(Operator(layer, "Dense", (ops[-1].name,), ((wide,),), (out,), {}, wide * out, out))
    return Graph(name, tuple(ops), (ops[-1].name,))


class Reader(HTMLParser):
    """What a browser would see: tags in pairs, their attributes, the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_the_page_says_what_the_report_says() -> None:
    report = profile(network(3000, 400, 64, 10))
    shown = Reader(render.page(report)).text
    for layer in report.rows:
        assert layer.name in shown
        assert f"{layer.weights_bytes:,}" in shown
        assert f"{layer.macc:,}" in shown
    assert "small on STM32L496" in shown
    assert "Does not fit STM32L496 (Cortex-M4F, 80 MHz): exceeds flash by 3.68 MiB" in shown
    assert f"{report.totals.target_flash_share:.1f} % of 1.00 MiB" in shown
    assert "dense_0 holds 97.9 % of the flash" in shown
    assert "With hybrid weights" in shown


def test_the_page_names_every_limit_that_is_exceeded() -> None:
    graph = network(3000, 400, 64, 10)
    for board in (custom_target("1MiB", "10KiB"), TARGETS["hello-edge-small"]):
        report = profile(graph, board)
        shown = Reader(render.page(report))
        (verdict,) = (note.text for note in render.sheet(report).notes if note.text.startswith("Does not fit"))
        assert verdict in shown.text
        for limit in report.exceeded:
            assert f"{limit.name} by " in verdict
    assert "flash and RAM together by 4.62 MiB" in verdict
    small = render.page(profile(network(10, 5), TARGETS["hello-edge-small"]))
    assert "Fits Hello Edge small" in small
    assert "% of 6,000,000" in small


def test_the_picture_of_the_ram_marks_the_peak() -> None:
    read = Reader(render.page(profile(network(100, 50, 10))))
    assert "peak 600 B, in dense_0" in read.text
    assert "dense_1: 40 B at " in read.text
    assert [tag for tag, _ in read.tags].count("figure") == 2


def test_a_network_that_stores_nothing_has_a_page() -> None:
    ops = (Operator("in", "InputLayer", (), (), (4,)), Operator("relu", "ReLU", ("in",), ((4,),), (4,)))
    Reader(render.page(profile(Graph("none", ops, ("relu",)))))
    Reader(render.page(profile(Graph("none", ops[:1], ("in",)))))


def pages() -> list[str]:
    """One of every kind."""
    graph = network(100, 50, 10)
    report, plan = profile(graph), profile(graph, plan=PrecisionPlan.from_data({"*": "binary"}))
    return [render.page(report), render.page(Diff(report, plan)), render.page(suggest(graph, 1000))]


def test_the_pages_need_nothing_from_elsewhere() -> None:
    for text in pages():
        read = Reader(text)
        assert not {tag for tag, _ in read.tags} & {"script", "link", "img", "iframe", "object", "embed", "base"}
        assert not re.search(r"https?:|//|@import|url\(", text)
        assert not any(key.startswith("on") or key in ("href", "src") for _, given in read.tags for key in given)
        assert "default-src 'none'" in text


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=50))
def test_a_name_is_text_whatever_it_holds(name: str) -> None:
    def shown(*names: str) -> list[Reader]:
        graph = network(20, 10, 5, names=names, name=names[0])
        board = replace(TARGETS["stm32l496"], label=names[0], source=names[0])
        lifetimes = (Lifetime(names[0], 0, 1, 0, 30),)
        report = replace(profile(graph, board), planner=names[0], not_costed=names[:1], lifetimes=lifetimes)
        return [Reader(render.page(one)) for one in (report, Diff(report, report), suggest(graph, 100))]

    for plain, read in zip(shown("x", "y"), shown(name, "y" if name != "y" else "z"), strict=True):
        assert {tag for tag, _ in read.tags} == {tag for tag, _ in plain.tags}
        assert {key for _, given in read.tags for key in given} <= {key for _, given in plain.tags for key in given}
        assert name in read.text


def test_what_has_no_rule_is_loud() -> None:
    ops = network(8, 4).operators
    unknown = Operator("odd", "unknown: Odd", (ops[-1].name,), ((4,),), ())
    report = profile(Graph("odd", (*ops, unknown), ("odd",)))
    for one in (report, Diff(report, report)):
        read = Reader(render.page(one))
        assert "Not costed, the totals leave them out: odd (unknown: Odd)" in read.text
        said = "Takes at least 144 B of flash and 48 B of RAM of STM32L496 (Cortex-M4F, 80 MHz); 1 layer not counted"
        assert said in read.text
        assert "Fits" not in read.text
        assert read.words.count("?") >= 4
        assert any(given.get("class") == "warning" for _, given in read.tags)


def test_estimates_are_shown_with_their_sources() -> None:
    shown = Reader(render.page(profile(network(8, 4)))).text
    assert re.search(r"Time: estimate [\d.]+ us", shown)
    assert "Energy is estimated from: float on Cortex-M4: X-CUBE-AI" in shown
    assert "STM32L496 datasheet: 91 uA/MHz" in shown


def test_a_large_network_still_makes_a_readable_page() -> None:
    text = render.page(profile(network(*range(10, 310))))
    read = Reader(text)
    assert "269 smaller layers" in read.text
    assert len(text) < 1_000_000
    turned = [given for tag, given in read.tags if tag == "text" and "transform" in given]
    assert 50 <= len(turned) <= 61


def test_a_notebook_shows_the_page_without_its_frame() -> None:
    report = profile(network(100, 50, 10))
    inside = report._repr_html_()
    assert inside.startswith('<div class="hybridq">')
    assert inside in render.page(report)
    Reader(inside)
    # its style reaches nothing else in the notebook
    style = re.sub(r"@media print \{(.*)\}\n", r"\1", inside.split("<style>")[1].split("</style>")[0], flags=re.S)
    for rule in re.findall(r"([^{}]+)\{", style):
        assert all(selector.strip().startswith(".hybridq") for selector in rule.split(","))


def test_the_colours_show_on_white_and_on_black() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in COLOURS.values():
        assert 1.05 / (luminance(colour) + 0.05) >= 3
        assert (luminance(colour) + 0.05) / (luminance("#121212") + 0.05) >= 3
    assert {str(precision) for precision in Format} < set(COLOURS)


# ------------------------------------------------------------------------------------------- side by side


def reports(first: Graph, second: Graph, plan: dict[str, Any] | None = None) -> Diff:
    after = profile(second, plan=PrecisionPlan.from_data(plan) if plan else None)
    return Diff(profile(first), after)


def text_of(found: Diff) -> str:
    console = Console(width=100, file=io.StringIO(), force_terminal=False)
    console.print(render.terminal(found))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_plan_against_none() -> None:
    found = reports(network(3000, 400, 10), network(3000, 400, 10), {"dense_0": "binary"})
    assert [(row.name, row.status) for row in found.rows] == [("dense_0", "changed"), ("dense_1", "same")]
    assert found.rows[0].weights == ("float32", "binary")
    before, after = 4 * (1_200_400 + 4010), 150_000 + 4 * (400 + 4010)
    flash = found.totals["flash_bytes"]
    assert (flash.before, flash.after, flash.change) == (before, after, after - before)
    assert flash.percent == pytest.approx(100 * (after / before - 1))
    text = text_of(found)
    assert re.search(r"~ +dense_0", text)
    assert "MACC: 1,204,410, unchanged" in text
    assert "float32 to binary" in text
    assert "Flash: 4.59 MiB to 163.7 KiB" in text
    assert "Before: Does not fit STM32L496 (Cortex-M4F, 80 MHz): exceeds flash by 3.59 MiB" in text


def test_layers_added_and_removed_stand_where_they_belong() -> None:
    first = network(8, 8, 8, 8, names=("a", "b", "c"))
    second = network(8, 8, 8, 8, 8, names=("new", "a", "c", "end"))
    found = reports(first, second)
    assert [(row.name, row.status) for row in found.rows] == [
        ("new", "added"),
        ("a", "same"),
        ("b", "removed"),
        ("c", "same"),
        ("end", "added"),
    ]
    assert found.rows[0].weights_bytes.percent is None
    assert found.rows[2].macc.after is None


def test_the_table_fits_100_columns_and_its_names_are_no_markup() -> None:
    names = ("[red]x[/red]", "a_layer_with_a_very_long_name" * 3)
    found = reports(network(2**20, 2**10, 10, names=names), network(2**20, 2**10, 10, names=names), {"*": "binary"})
    text = text_of(found)
    assert max(map(len, text.splitlines())) <= 100
    assert "1,073,742,848" in text
    assert "[red]x" in text


def test_two_accountings_do_not_count_alike() -> None:
    found = Diff(profile(network(8, 4), accounting="x-cube-ai:5.2"), profile(network(8, 4)))
    assert "Not counted alike: x-cube-ai 5.2 before, x-cube-ai core 2.2 after" in text_of(found)


def test_side_by_side_in_every_form() -> None:
    found = reports(network(3000, 400, 10), network(3000, 400, 20, 10), {"*": "binary"})
    rows = list(csv.DictReader(io.StringIO(render.csv(found))))
    assert [(row["name"], row["status"]) for row in rows] == [
        ("dense_0", "changed"),
        ("dense_1", "changed"),
        ("dense_2", "added"),
    ]
    assert (rows[2]["weights_bytes_before"], rows[2]["weights_after"]) == ("", "binary")
    text = render.markdown(found)
    assert "| ~ | dense_0 | float32 to binary | 4,801,600 | 151,600 | -96.8 | 1,200,400 | 1,200,400 |  |" in text
    assert "| + | dense_2 | binary |  | 65 |  |  | 210 |  |" in text
    shown = Reader(render.page(found)).text
    for said in ("small: before and after", "Before: Does not fit STM32L496", "4,801,600", "-96.8", "dense_2"):
        assert said in shown


@given(
    st.lists(st.integers(1, 500), min_size=2, max_size=8),
    st.lists(st.integers(1, 500), min_size=2, max_size=8),
    st.booleans(),
)
def test_the_rows_explain_the_totals(first: list[int], second: list[int], binary: bool) -> None:
    found = reports(network(*first), network(*second), {"*": "binary"} if binary else None)
    data = found.to_json()
    assert json.loads(json.dumps(data)) == data
    for key in ("weights_bytes", "macc", "parameters"):
        changes = [(row[key]["after"] or 0) - (row[key]["before"] or 0) for row in data["layers"]]
        total = data["totals"]["flash_bytes" if key == "weights_bytes" else key]
        assert sum(changes) == total["change"]
    assert len(data["layers"]) == max(len(first), len(second)) - 1
    if first == second and not binary:
        assert {row.status for row in found.rows} == {"same"}
        assert all(pair.change == 0 for pair in found.totals.values())
