"""Plans around the fullest step, and what they write over what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from arena_networks import Network
from hypothesis import given, settings
from hypothesis import strategies as st
from test_arena_reports import int8

from hybridq.arena.choices import Choice, Over, gradual, overlapped
from hybridq.arena.planners import Groups, Layout, Lifetime, around_fullest, first_fit, in_order, largest_first, needed
from hybridq.profiler import profile
from hybridq.profiler.accounting import accounting
from hybridq.profiler.count.arena import Ram, ram
from hybridq.profiler.count.merge import merge
from hybridq.profiler.targets import custom_target

STEPS = 8
PLACES = [around_fullest, first_fit, in_order, largest_first]


@st.composite
def tensors(draw: st.DrawFn) -> list[list[Lifetime]]:
    groups = []
    for number in range(draw(st.integers(1, 9))):
        first = draw(st.integers(0, STEPS - 1))
        last = draw(st.integers(first, STEPS - 1))
        groups.append([Lifetime(f"t{number}", first, last, 0, draw(st.integers(0, 40)))])
        if draw(st.booleans()) and last + 1 < STEPS:  # another written over it
            over = Lifetime(f"o{number}", last, last + 1, draw(st.integers(-20, 20)), draw(st.integers(1, 40)))
            groups[-1].append(over)
    return groups


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=60)
@given(groups=tensors())
def test_what_is_there_at_once_lies_apart(place: Callable[[Groups, int], Layout], groups: list[list[Lifetime]]) -> None:
    layout = place(groups, STEPS)
    group_of = {one.tensor: i for i, group in enumerate(groups) for one in group}
    placed = [one for one in layout.lifetimes if one.bytes]
    assert {one.tensor for one in placed} == {one.tensor for group in groups for one in group if one.bytes}
    assert all(one.offset >= 0 and one.end <= layout.bytes for one in placed)
    for one in placed:
        for other in placed:
            at_once = one.first <= other.last and other.first <= one.last
            if at_once and group_of[one.tensor] != group_of[other.tensor]:
                assert one.end <= other.offset or other.end <= one.offset
    for group in groups:  # what is written over moves with what it was
        offsets = {one.tensor: one.offset for one in placed}
        moved = {offsets[one.tensor] - one.offset for one in group if one.bytes}
        assert len(moved) <= 1
    assert layout.bytes >= max(needed(groups, STEPS))


def written_over(taken: frozenset[Choice]) -> list[list[Lifetime]]:
    """Three tensors of 100 bytes in a row, each of which may be written over the one before."""
    rows = [[Lifetime("a", 0, 1, 0, 100)]]
    for step, name in ((1, "b"), (2, "c")):
        own = Lifetime(name, step, step + 1, rows[-1][-1].offset - 10, 100)
        if Choice(step) in taken:
            rows[-1].append(own)
        else:
            rows.append([own._replace(offset=0)])
    return rows


@pytest.mark.parametrize("place", PLACES)
def test_choices_are_taken_where_the_arena_ends(place: Callable[[Groups, int], Layout]) -> None:
    open_ = [Choice(1), Choice(2)]
    assert place(written_over(frozenset()), 4).bytes == 200
    assert gradual(written_over, open_, 4, place).bytes == 120
    assert gradual(written_over, open_[:1], 4, place).bytes == 200


def test_one_choice_alone_may_not_help() -> None:
    assert overlapped(written_over, [Choice(1), Choice(2)], 4).bytes == 120
    assert overlapped(written_over, [Choice(3, Over.UNCLIPPED)], 4).bytes == 200


# ------------------------------------------------------------------------------------------------ networks


def of(network: Network, version: str) -> Ram:
    graph, rules = int8(network, per_channel=True), accounting(f"x-cube-ai:{version}")
    return ram(graph, merge(graph, rules), rules=rules)


@pytest.mark.parametrize(
    ("activation", "version", "twice"), [("relu6", "8.1", 1), ("relu", "8.1", 0), ("relu6", "2.1", 0)]
)
def test_an_8_bit_layer_that_clips_holds_its_result_twice_before_9_0(activation: str, version: str, twice: int) -> None:
    network = Network((8, 8, 4))
    network.add("Conv2D", filters=8, kernel_size=1, activation=activation)
    names = [one.tensor for one in of(network, version).lifetimes]
    assert sum("before its nonlinearity" in name for name in names) == twice


def test_bounds_are_given_where_the_plan_is_not_known() -> None:
    network = Network((8, 8, 4))
    a = network.add("Conv2D", filters=4, kernel_size=3, padding="same", activation="relu")
    assert of(network, "8.1").least is None is of(network, "8.1").most
    network.add("Add", a, network.add("Conv2D", a, filters=4, kernel_size=3, padding="same"))
    found = of(network, "8.1")
    assert found.least is not None
    assert found.most is not None
    assert found.least <= found.activations <= found.most
    report = profile(network.graph(), accounting="x-cube-ai:8.1")
    assert report.totals.ram_most_bytes is not None
    assert "at least" in str(report)
    assert "this network branches" in str(report)


def test_a_board_that_may_be_too_small_is_not_said_to_fit() -> None:
    network = Network((32, 32, 8))
    a = network.add("Conv2D", filters=8, kernel_size=3, padding="same")
    network.add("Add", a, network.add("Conv2D", a, filters=8, kernel_size=3, padding="same"))
    totals = profile(network.graph()).totals
    assert totals.ram_least_bytes is not None
    assert totals.ram_most_bytes is not None

    def fits(size: int) -> bool | None:
        return profile(network.graph(), custom_target(ram=f"{size} B")).totals.fits

    assert fits(totals.ram_most_bytes) is True
    assert fits(totals.ram_bytes) is (None if totals.ram_bytes < totals.ram_most_bytes else True)
    assert fits(totals.ram_bytes - 1) is False
    few = profile(network.graph(), custom_target(ram=f"{totals.ram_bytes} B"))
    assert "Takes at least" in str(few)
