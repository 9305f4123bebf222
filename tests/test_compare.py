"""Comparing runs: the table, from plain run views."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from hybridq.errors import UserError
from hybridq.results.compare import newest, table
from hybridq.results.comparison import STANDARD_WORDS, Comparison
from hybridq.results.query import filtered
from hybridq.tracking import RunView

FIGURES = {  # network: accuracy, flash KiB, flash by the published rule KiB, RAM KiB, MACC M, published row
    "fp32": (92.4, 2173.2, 2173.2, 149.2, 20.5, ("FP32", "94", "2.12", "149.2", "20.5")),
    "int8": (92.1, 125.5, 493.2, 127.5, 10.5, ("8-bit", "92", "0.48", "127.4", "10.5")),
    "hybrid": (91.8, 79.6, 77.9, 127.5, 10.5, ("hybrid", "90", "0.076", "127.4", "10.5")),
}
START = datetime(2026, 1, 1, tzinfo=UTC)


def view(network: str, seed: int = 0, *, shift: float = 0.0, minutes: int = 0, **changes: Any) -> RunView:
    accuracy, flash, ruled, ram, macc, published = FIGURES[network]
    keys = ("label", "accuracy", "flash_mb", "ram_kb", "macc_m")
    tags = {f"published.{key}": value for key, value in zip(keys, published, strict=True)}
    tags |= {"recipe": network, "data.name": "Speech Commands v0.02", "data.synthetic": "false"}
    tags |= {"data.words": " ".join(STANDARD_WORDS), "published.source": "vocal commands paper"}
    metrics = {
        "test accuracy %": accuracy + shift,
        "test accuracy low %": accuracy + shift - 1.2,
        "test accuracy high %": accuracy + shift + 1.1,
        "test mean word accuracy %": accuracy + shift - 0.3,
        "flash KiB": flash,
        "flash as published KiB": ruled,
        "RAM KiB": ram,
        "MACC M": macc,
        "flash share %": flash / 10.24,
        "RAM share %": ram / 3.2,
        "fits": float(flash < 1024),
    }
    fields: dict[str, Any] = {
        "id": f"{network}{seed}{minutes}",
        "name": network if seed == 0 else f"{network} seed {seed}",
        "status": "FINISHED",
        "params": {"training.seed": str(seed), "training.epochs": "40"},
        "metrics": metrics,
        "tags": tags | changes.pop("tags", {}),
        "started": START + timedelta(minutes=minutes),
        "ended": None,
        "parent": None,
    }
    return RunView(**fields | changes)


def printed(comparison: Comparison, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(comparison.to_rich())
    return console.export_text()


def test_three_networks_side_by_side() -> None:
    comparison = table([view(name, minutes=at) for at, name in enumerate(FIGURES)])
    text = printed(comparison)
    assert max(map(len, text.splitlines())) <= 100
    for expected in ("92.4", "91.2-93.5", "0.078", "0.076", "2.122", "  published", "NO", "212 / 47"):
        assert expected in text
    assert "hybrid: accuracy -0.6 points, flash 27.3x smaller, RAM 1.2x smaller" in text
    assert "published hybrid" in comparison.to_markdown()
    assert "SYNTHETIC" not in text
    assert "Not the ten" not in text
    assert "±" not in text


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("width", [60, 72, 80, 91])
def test_a_narrow_terminal_leaves_columns_out_and_cuts_no_figure(width: int, each: bool) -> None:
    comparison = table([view(name, minutes=at) for at, name in enumerate(FIGURES)], each=each)
    text = printed(comparison, width)
    grid, _, rest = text.partition("Too narrow for ")
    assert max(map(len, text.splitlines())) <= width
    left_out = " ".join(rest.split()).partition(": --format csv")[0]
    names = [column.heading.replace("\n", " ") for column in comparison.columns]
    shown = [column for column, name in zip(comparison.columns, names, strict=True) if name not in left_out.split(", ")]
    assert 4 <= len(shown) < len(names)
    lines = iter(grid.splitlines())
    for row, cells in comparison.lines(shown):
        first = cells[0] if row else "published"
        line = next(line for line in lines if line.strip().startswith(first))
        assert line.split()[1:] == " ".join(cells[1:]).split()


def test_seeds_become_one_row_with_spread() -> None:
    runs = [view("fp32", seed, shift=shift, minutes=seed) for seed, shift in enumerate((-0.3, 0.0, 0.3))]
    rerun = view("fp32", 1, shift=0.6, minutes=9)  # the same seed again: the newest counts
    comparison = table([*runs, rerun])
    (row,) = comparison.rows
    assert row["seeds"] == ("0", "1", "2")
    assert rerun.id in row["runs"]
    assert runs[1].id not in row["runs"]
    assert row["accuracy"] == pytest.approx(92.6)
    assert row["accuracy_spread"] == pytest.approx(0.4583, abs=1e-4)
    assert "92.6 ± 0.5" in printed(comparison)


def test_networks_in_integers_have_a_column_that_fits() -> None:
    integers = {"fp32": None, "int8": 90.6, "hybrid": 90.2}
    runs = []
    for at, (name, accuracy) in enumerate(integers.items()):
        for seed in range(3):
            run = view(name, seed, shift=0.3 * seed, minutes=3 * at + seed)
            more = {} if accuracy is None else {"integer test accuracy %": accuracy + 0.5 * seed}
            runs.append(replace(run, metrics={**run.metrics, **more}))
    comparison = table(runs)
    assert [row["integer_accuracy"] for row in comparison.rows] == [None, pytest.approx(91.1), pytest.approx(90.7)]
    for shown in (printed(comparison), printed(table(runs, each=True))):
        assert max(map(len, shown.splitlines())) <= 100
        assert "Integer accuracy: in integers alone" in shown
    assert "91.1 ± 0.5" in printed(comparison)
    assert "| mean word accuracy % | integer accuracy % |" in comparison.to_markdown()
    rows = [line.count("|") for line in comparison.to_markdown().splitlines() if line.startswith("|")]
    assert len(set(rows)) == 1
    assert "integer" not in printed(table([view("fp32")]))


def test_other_settings_are_another_row_and_newest_picks_one() -> None:
    short = view("fp32", minutes=0, params={"training.seed": "0", "training.epochs": "3"})
    runs = [short, view("fp32", 0, minutes=1), view("fp32", 1, minutes=2), view("int8", minutes=3)]
    assert [row.network for row in table(runs).rows] == ["fp32, epochs 3", "fp32, epochs 40", "int8"]
    assert newest(runs) == runs[1:]


def test_synthetic_voices_are_said_loudly_everywhere() -> None:
    comparison = table([view("fp32", tags={"data.synthetic": "true", "data.name": "synthetic"})])
    assert "SYNTHETIC DATA" in printed(comparison)
    assert "SYNTHETIC DATA" in comparison.to_markdown()
    assert comparison.to_json()["synthetic"]
    assert "SYNTHETIC" in comparison.to_json()["notes"][0]
    assert next(csv.DictReader(io.StringIO(comparison.to_csv())))["synthetic"] == "True"


def test_words_that_are_not_the_standard_ten_are_named() -> None:
    words = "yes no up down left right stop go bed cat"
    text = printed(table([view("fp32", tags={"data.words": words})]))
    assert "Not the ten standard commands: bed, cat in the place of on, off." in text


def test_runs_without_a_result_are_named() -> None:
    failed = view("int8", minutes=1, status="FAILED", metrics={}, tags={"failure": "the loss became NaN"})
    sweep = view("int8", params={}, metrics={})
    assert "Left out, 1 run without a result: int8 (failed: the loss became NaN)." in printed(
        table([view("fp32"), failed, sweep])
    )
    with pytest.raises(UserError, match="no finished run to compare: int8"):
        table([failed])
    with pytest.raises(UserError, match="no finished run"):
        table([])


def test_other_forms_hold_the_same_figures() -> None:
    comparison = table([view(name, minutes=at) for at, name in enumerate(FIGURES)])
    data = json.loads(json.dumps(comparison.to_json()))
    assert [row["network"] for row in data["rows"]] == list(FIGURES)
    assert data["rows"][2]["against_largest"]["flash_smaller_by"] == pytest.approx(2173.2 / 79.6)
    assert data["rows"][2]["published"]["accuracy"] == "90"
    lines = list(csv.DictReader(io.StringIO(comparison.to_csv())))
    assert float(lines[1]["flash_kib"]) == 125.5
    assert lines[1]["published.flash_mb"] == "0.48"
    assert lines[0]["words"].split() == list(STANDARD_WORDS)
    markdown = comparison.to_markdown().splitlines()
    assert len({line.count("|") for line in markdown if line.startswith("|")}) == 1
    assert sum(line.startswith("|") for line in markdown) == 2 + 6


def test_a_run_with_little_logged_still_has_a_row() -> None:
    bare = view("fp32", params={}, metrics={"test accuracy %": 50.0}, tags={})
    assert "50.0" in printed(table([bare]))
    assert "50.0" in table([bare]).to_markdown()


def test_rows_are_sorted_by_any_column_and_measured_against_the_largest_network() -> None:
    runs = [view(name, minutes=at) for at, name in enumerate(FIGURES)]
    for column, first in (("accuracy", "hybrid"), ("-accuracy", "fp32"), ("flash", "hybrid"), ("-recipe", "int8")):
        comparison = table(runs, sort=column)
        assert comparison.rows[0].network == first
        assert comparison.largest.network == "fp32"
        assert "hybrid: accuracy -0.6 points, flash 27.3x smaller" in printed(comparison)
    seeds = [view("fp32", seed, shift=shift) for seed, shift in ((0, -3.0), (1, 0.0))]
    assert [row.network for row in table([*seeds, view("hybrid")], sort="accuracy").rows] == ["fp32", "hybrid"]
    bare = view("int8", metrics={"test accuracy %": 99.0})
    for column in ("flash", "-flash"):  # what is not known comes last either way
        assert table([bare, *runs[::2]], sort=column).rows[-1].network == "int8"


def test_each_run_has_a_line_with_its_id_seed_and_minutes() -> None:
    runs = [view("fp32", seed, minutes=seed) for seed in range(3)] + [view("fp32", 1, minutes=9)]
    runs[2].metrics["training minutes"] = 12.34  # type: ignore[index]
    comparison = table(runs, each=True)
    text = printed(comparison)
    assert max(map(len, text.splitlines())) <= 100
    assert len(comparison.rows) == 4  # that a seed was run again hides nothing
    for expected in ("fp3200", "fp3222", "12.3", "minutes"):
        assert expected in text
    assert "published" not in text.lower()
    assert comparison.to_markdown().count("\n| fp32 |") == 4


def test_a_run_that_never_got_so_far_is_named_whatever_the_filter() -> None:
    failed = view("int8", metrics={}, status="FAILED", tags={"failure": "out of memory"})
    running = view("hybrid", 1, metrics={}, status="RUNNING")
    kept = filtered([view("fp32"), view("hybrid"), failed, running], ["flash<100"])
    text = " ".join(printed(table(kept)).split())
    assert "Left out, 2 runs without a result: int8 (failed: out of memory); hybrid seed 1 (still running" in text
    assert failed not in filtered([failed], ["recipe=hybrid"])


def test_what_was_done_again_is_no_loss_and_what_failed_since_is_named() -> None:
    before = view("fp32", minutes=0, metrics={}, status="FAILED", tags={"failure": "disk full"})
    since = view("fp32", minutes=2, metrics={}, status="KILLED", tags={"interrupted": "Ctrl-C"})
    chosen = newest([before, view("fp32", minutes=1), since])
    assert table(chosen).left_out == ("fp32 (killed: Ctrl-C)",)
    assert table([before, view("fp32", minutes=1)]).left_out == ()


def test_the_place_of_the_data_makes_no_other_row_where_the_data_is_known() -> None:
    runs = [
        view("fp32", seed, params={"training.seed": str(seed), "data.source": where}, tags={"data.digest": "d1"})
        for seed, where in enumerate(("/here", "/there"))
    ]
    assert [row["seeds"] for row in table(runs).rows] == [("0", "1")]
    other = view("fp32", params={"training.seed": "0"}, tags={"data.digest": "d2", "data.name": "mine"})
    assert {row.network for row in table([*runs, other]).rows} == {
        "fp32, data Speech Commands v0.02",
        "fp32, data mine",
    }


def trial(network: str, accuracy: float, minutes: int) -> RunView:
    found = view(network, minutes=minutes, tags={"trial": "true"})
    sizes = {name: value for name, value in found.metrics.items() if not name.startswith("test")}
    return replace(found, metrics={**sizes, "validation accuracy best %": accuracy})


def test_trials_are_compared_on_validation_clips_and_only_where_they_are_asked_for() -> None:
    tested = view("fp32")
    tested = replace(tested, metrics={**tested.metrics, "validation accuracy best %": 94.0})
    runs = [tested, trial("int8", 93.5, 1), trial("hybrid", 93.75, 2)]
    assert newest(runs) == [tested]
    found = table(runs)
    assert (found.clips, [row["accuracy"] for row in found.rows]) == ("validation", [94.0, 93.5, 93.75])
    assert [row.network for row in found.front] == ["hybrid", "fp32"]
    assert "published" not in printed(found)
    assert "Accuracy on the validation clips" in printed(found)
    assert "validation accuracy %" in found.to_markdown()
    assert "95 %" not in found.to_markdown()
    assert found.to_json()["clips"] == "validation"
