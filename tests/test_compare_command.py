"""`hybridq compare` on a real store: filtered and sorted runs, and what differs between two of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st
from logged_runs import log

from hybridq.results.diff import differing
from hybridq.tracking import open_store

plain_trees = st.dictionaries(
    st.text("abc", min_size=1),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("xyz"),
        lambda inside: st.lists(inside) | st.dictionaries(st.text("abc", min_size=1), inside, min_size=1),
        max_leaves=6,
    ),
)


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
    code, out, err = compare("--filter", "recipe=fp16")
    assert (code, out, err) == (2, "", "hybridq: no run matches recipe=fp16; 4 runs in the store\n")
    assert (
        "no run matches seed=7 and recipe=fp32; 2 runs among"
        in compare("fp32", "fp32 seed 1", "--filter", "seed=7", "--filter", "recipe=fp32")[2]
    )
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
