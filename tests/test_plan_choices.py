"""Precision plans chosen by a table of sensitivities: none is better, and all keep to the limits."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.precision import PrecisionPlan
from hybridq.profiler.targets import custom_target
from hybridq.recipe.file import load_recipe
from hybridq.searching.plan_space import RecipeSpace, Space
from hybridq.searching.plans import check, within_drop, within_flash
from hybridq.searching.sensitivity import Change, Score, Sensitivity

INT8 = Path(__file__).resolve().parent.parent / "recipes" / "deploy" / "int8.yaml"


@pytest.fixture(scope="module")
def space() -> Space:
    return RecipeSpace.of(load_recipe(INT8))


@pytest.fixture(scope="module")
def blank(space: Space) -> Sensitivity:
    """A table with the bytes as they are, and no losses."""
    flash, score = space.flash({}), Score(0.5, 90.0)
    every = [(layer, to) for layer in space.layers for to in space.narrower(layer)]
    changes = [Change(layer, to, flash - space.flash({layer: to}), score, 0.0, 0.0, "") for layer, to in every]
    own = {layer: space.own(layer) for layer in space.layers}
    return Sensitivity("x", "clips", False, 100, 1, flash, own, score, tuple(changes), {})


def filled(blank: Sensitivity, losses: list[float]) -> Sensitivity:
    """The table with these losses, of cross-entropy and of accuracy alike."""
    pairs = zip(blank.changes, losses, strict=True)
    return replace(blank, changes=tuple(replace(change, rise=loss, drop=loss) for change, loss in pairs))


NARROWER = 9 * sum(one.row.kernel is not None and one.bits < 8 for one in Format)  # changes to nine layers of 8 bits
figures = st.lists(st.floats(-0.2, 2), min_size=NARROWER, max_size=NARROWER)


@settings(max_examples=20)
@given(losses=figures, limit=st.integers(30_000, 140_000), seed=st.integers(0, 999))
def test_no_plan_within_the_flash_has_less_loss_by_the_table(
    space: Space, blank: Sensitivity, losses: list[float], limit: int, seed: int
) -> None:
    found = filled(blank, losses)
    budget = custom_target(flash=str(limit))
    best, *others = within_flash(space, found, budget, 3)
    assert all(one.flash_bytes <= limit for one in (best, *others))
    assert [best.rise, *(one.rise for one in others)] == sorted([best.rise, *(one.rise for one in others)])
    rng = random.Random(seed)
    for _ in range(8):
        other = {layer: to for layer in space.layers if (to := rng.choice([None, *space.narrower(layer)]))}
        if space.flash(other) <= limit:
            assert best.rise <= 1e-9 + sum(
                max(change.rise, 0) for change in found.changes if other.get(change.layer) is change.precision
            )


@settings(max_examples=20)
@given(losses=figures, limit=st.floats(0, 3))
def test_the_smallest_plan_keeps_to_the_drop_and_smaller_drops_take_more_flash(
    space: Space, blank: Sensitivity, losses: list[float], limit: float
) -> None:
    plans = within_drop(space, filled(blank, losses), custom_target(), limit, 3)
    assert all(plan.drop <= limit + 1e-9 for plan in plans)
    sizes = [plan.flash_bytes for plan in plans]
    assert sizes == sorted(sizes)


def test_a_budget_that_nothing_fits_is_refused_with_what_the_smallest_needs(space: Space, blank: Sensitivity) -> None:
    with pytest.raises(
        UserError,
        match=r"the smallest takes [\d.]+ KiB of flash and [\d.]+ KiB of RAM: Does not fit .* exceeds flash by",
    ):
        check(space, custom_target(flash="10KiB"))
    with pytest.raises(UserError, match="exceeds RAM by"):
        check(space, custom_target(flash="80KiB", ram="8KiB"))
    with pytest.raises(UserError, match="exceeds operations by"):
        check(space, custom_target(macc="2.3M"))
    smallest = space.flash(space.smallest)
    check(space, custom_target(flash=str(smallest)))
    (found,) = within_flash(space, filled(blank, [1.0] * NARROWER), custom_target(flash=str(smallest)), 3)
    assert found.flash_bytes == smallest
    with pytest.raises(UserError, match="exceeds flash by 1 B"):
        check(space, custom_target(flash=str(smallest - 1)))


def test_a_plan_is_told_by_a_character_a_layer(space: Space) -> None:
    assert space.code({"conv2d_5": Format.TERNARY, "dense": Format.BINARY}) == "88888tb88"


@given(
    order=st.permutations(["*", "conv2d*", "dense*", "dense_1", "conv2d", "conv2d_[12]"]),
    changed=st.sets(st.sampled_from(["conv2d", "conv2d_2", "dense", "dense_1"])),
)
def test_a_change_is_of_the_weights_of_that_layer_alone(space: Space, order: list[str], changed: set[str]) -> None:
    rules = {pattern: {"weights": "8-bit"} for pattern in order}
    rules["*"], rules["dense_1"] = {"outputs": "8-bit"}, {"weights": "8-bit", "bias": "4-bit", "outputs": "4-bit"}
    other = replace(space, base=PrecisionPlan.from_data(rules))
    plan = PrecisionPlan.from_data(other.plan(dict.fromkeys(changed, Format.BINARY)).to_data())
    for layer in other.layers:
        own = other.base.of(layer)
        assert plan.of(layer) == (replace(own, weights=Format.BINARY) if layer in changed else own)
