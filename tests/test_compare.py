"""Comparing runs: from plain run views, and by the command from a real store."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st
from logged_runs import log
from rich.console import Console

from hybridq.errors import UserError
from hybridq.results.compare import newest, table
from hybridq.results.comparison import STANDARD_WORDS, Comparison
from hybridq.results.diff import differing
from hybridq.results.query import filtered
from hybridq.tracking import RunView, open_store

plain_trees = st.dictionaries(
    st.text("abc", min_size=1),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("xyz"),
        lambda inside: st.lists(inside) | st.dictionaries(st.text("abc", min_size=1), inside, min_size=1),
        max_leaves=6,
    ),
)

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


@pytest.mark.parametrize(
    ("conditions", "kept"),
    [
        (["flash KiB<100"], {"hybrid"}),
        (["flash<126", "accuracy >= 92.1"], {"int8"}),
        (["recipe=hybrid"], {"hybrid"}),
        (["recipe!=hybrid", "RAM <= 127.5"], {"int8"}),
        (["data=Speech Commands v0.02"], set(FIGURES)),
        (["data=synthetic"], set()),
        (["training.epochs=40.0", "status=FINISHED"], set(FIGURES)),
        (["epochs==3"], set()),
        (["Name = int8"], {"int8"}),
        (["training minutes>0"], set()),
    ],
)
def test_runs_are_filtered_by_metrics_parameters_and_tags(conditions: list[str], kept: set[str]) -> None:
    assert {run.name for run in filtered([view(name) for name in FIGURES], conditions)} == kept


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("flsh KiB<100", "no column 'flsh KiB'; the nearest: flash KiB"),
        ("training.epoch=3", "no column 'training.epoch'; the nearest: training.epochs"),
        ("flash KiB", "as in 'flash KiB<100'"),
        ("flash<small", "'small' is not a number"),
        ("<3", "as in 'flash KiB<100'"),
    ],
)
def test_a_filter_that_cannot_be_read_is_explained(condition: str, message: str) -> None:
    with pytest.raises(UserError, match=r"^--filter") as error:
        filtered([view("fp32")], [condition])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_short_name_that_two_parameters_share_is_not_guessed() -> None:
    run = view("fp32", params={"training.rate": "1", "features.rate": "2"})
    with pytest.raises(UserError, match=r"may be training\.rate or features\.rate"):
        filtered([run], ["rate=1"])


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8), st.floats(0, 100))
def test_a_filter_and_its_opposite_share_the_runs_out(values: list[float], bound: float) -> None:
    runs = [view("fp32", id=str(at), metrics={"flash KiB": value}) for at, value in enumerate(values)]
    below, rest = filtered(runs, [f"flash<{bound!r}"]), filtered(runs, [f"flash>={bound!r}"])
    assert {run.id for run in below}.isdisjoint(run.id for run in rest)
    assert len(below) + len(rest) == len(runs)


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


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store: a sweep of two networks with two seeds, one of them failed."""
    root = tmp_path_factory.mktemp("logged")
    store = open_store(root / "mlruns")
    with store.start_run("paper sweep", params={}, tags={}) as sweep:
        for seed in (0, 1):
            log(store, "fp32", seed, parent=sweep.id)
        log(store, "hybrid", 0, parent=sweep.id)
        log(store, "hybrid", 1, parent=sweep.id, failure="the loss became NaN in epoch 3")
    return root


@pytest.fixture
def compare(logged: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Run:
    """The command, run there."""
    monkeypatch.chdir(logged)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    return lambda *arguments: run("compare", *arguments)


def test_the_command_filters_sorts_and_names_what_failed(compare: Run) -> None:
    code, out, _ = compare("paper sweep", "--sort", "flash", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert [(row["network"], row["seeds"]) for row in found["rows"]] == [("hybrid", ["0"]), ("fp32", ["0", "1"])]
    assert found["left_out"] == ["hybrid seed 1 (failed: the loss became NaN in epoch 3)"]
    assert "1 run without a result: hybrid seed 1 (failed" in " ".join(compare()[1].split())
    code, out, _ = compare(
        "--each", "--filter", "recipe=fp32", "--filter", "seed=1", "--sort", "-minutes", "--format", "csv"
    )
    (line,) = csv.DictReader(io.StringIO(out))
    assert (line["network"], line["seeds"], line["minutes"]) == ("fp32", "1", "3.5")
    code, out, err = compare("--sort", "flahs")
    assert (code, out) == (2, "")
    assert err.strip() == "hybridq: --sort flahs: no column 'flahs'; the nearest: flash, flash KiB, flash share %"


def test_the_command_says_what_differs_between_two_runs(compare: Run, logged: Path) -> None:
    code, out, _ = compare("--diff", "fp32", "hybrid", "--format", "json")
    assert code == 0
    found = json.loads(out)
    recipe = {line["key"]: (line["left"], line["right"]) for line in found["lines"] if line["section"] == "recipe"}
    assert recipe["precision.dense*"] == ("-", "weights binary")
    assert recipe["start_from"] == ("-", "fp32")
    assert recipe["training.epochs"][0] != recipe["training.epochs"][1]
    assert not {"training.seed", "data.source"} & set(recipe)
    figures = {line["key"]: (line["left"], line["right"]) for line in found["lines"] if line["section"] == "figures"}
    assert figures["test accuracy %"] == ("93.0", "95.0")
    assert figures["RAM KiB"] == ("130.7", "130.7")  # figures are shown where they are the same, too
    assert not [line for line in found["lines"] if line["section"] == "made with"]
    for format_ in ("table", "csv", "markdown"):
        assert "weights binary" in compare("--diff", "fp32", "hybrid", "--format", format_)[1]
    # Two seeds of one recipe, one of them failed: the reference's seed is told apart from the recipe's own.
    rows = compare("--diff", "hybrid", "hybrid seed 1", "--format", "csv")[1]
    assert "figures,test accuracy %,95.0,-" in rows
    for arguments in (["--diff", "fp32"], ["--diff", "fp32", "hybrid", "--each"], ["--diff"]):
        code, _, err = compare(*arguments)
        assert code == 2
        assert "--diff takes two runs" in err
    assert "no run 'int8'" in compare("--diff", "fp32", "int8")[2]


@given(plain_trees, plain_trees)
def test_equal_recipes_differ_in_nothing_and_a_difference_is_seen_from_both_sides(one: Any, other: Any) -> None:
    assert differing([one, one]) == []
    there, back = differing([one, other]), differing([other, one])
    assert {(key, right, left) for key, (left, right) in there} == {(key, left, right) for key, (left, right) in back}
    assert bool(there) == (_without_none(one) != _without_none(other))


def _without_none(tree: Any) -> Any:
    """A key that is null and one that is not there mean the same in a recipe."""
    return (
        {key: _without_none(value) for key, value in tree.items() if value is not None}
        if isinstance(tree, dict)
        else tree
    )


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
