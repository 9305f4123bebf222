"""Conditions on runs, as `hybridq compare --filter` reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_compare import FIGURES, view

from hybridq.errors import UserError
from hybridq.results.query import filtered


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
