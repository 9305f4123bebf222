"""The table of runs, from plain run views and once from a real store."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from hybridq.compare import newest, table
from hybridq.comparison import STANDARD_WORDS, Comparison
from hybridq.errors import UserError
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


def printed(comparison: Comparison) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
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


def test_seeds_become_one_row_with_spread() -> None:
    runs = [view("fp32", seed, shift=shift, minutes=seed) for seed, shift in enumerate((-0.3, 0.0, 0.3))]
    rerun = view("fp32", 1, shift=0.6, minutes=9)  # the same seed again: the newest counts
    comparison = table([*runs, rerun])
    (row,) = comparison.rows
    assert row.seeds == ("0", "1", "2")
    assert rerun.id in row.runs
    assert runs[1].id not in row.runs
    assert row.accuracy == pytest.approx(92.6)
    assert row.accuracy_spread == pytest.approx(0.4583, abs=1e-4)
    assert "92.6 ± 0.5" in printed(comparison)


def test_other_settings_are_another_row_and_newest_picks_one() -> None:
    short = view("fp32", minutes=0, params={"training.seed": "0", "training.epochs": "3"})
    runs = [short, view("fp32", 0, minutes=1), view("fp32", 1, minutes=2), view("int8", minutes=3)]
    assert [row.network for row in table(runs).rows] == ["fp32, epochs 3", "fp32, epochs 40", "int8"]
    assert newest(runs) == runs[1:]


def test_synthetic_voices_are_said_loudly_everywhere() -> None:
    comparison = table([view("fp32", tags={"data.synthetic": "true", "data.name": "synthetic"})])
    assert "SYNTHETIC VOICES" in printed(comparison)
    assert "SYNTHETIC VOICES" in comparison.to_markdown()
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
