"""The arena of an integer network, and the stages in which its layers run."""

from __future__ import annotations

import itertools

import numpy as np
from effort import within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_builds import Made, reference
from network_draws import networks

from hybridq.image.memory_plan import plan
from hybridq.image.stage_costs import StageCosts, cuts_of, rows_kept
from hybridq.image.steps import steps_of
from hybridq.integer.network import IntegerNetwork

MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@MANY
@given(networks())
def test_what_is_alive_at_once_lies_apart(network: IntegerNetwork) -> None:
    planned = plan(network)
    for one, other in itertools.combinations(planned.buffers, 2):
        if one.first <= other.last and other.first <= one.last:
            assert one.offset + one.bytes <= other.offset or other.offset + other.bytes <= one.offset
    for one in planned.buffers:
        assert one.offset % 4 == 0
        assert one.offset + one.bytes <= planned.arena_bytes
    for step in (step for stage in planned.stages for step in stage.steps if not step.outside):
        made = planned.maps[step.name]
        assert 1 <= made.kept <= made.rows
        assert made.bytes >= made.kept * made.row_bytes


@MANY
@given(networks())
def test_the_cuts_are_the_best_there_are(network: IntegerNetwork) -> None:
    steps = steps_of(network)
    count, costs = len(steps), StageCosts(steps)
    cuts = cuts_of(costs, count)
    assert [first for first, _ in cuts] == [0, *(end for _, end in cuts[:-1])]
    assert cuts[-1][1] == count

    def fullest(stages: list[tuple[int, int]]) -> float:
        return max(costs.bytes(*one) if costs.allowed(*one) else np.inf for one in stages)

    every = []
    for where in itertools.product((False, True), repeat=count - 1):
        ends = [0, *(k for k, cut in enumerate(where, 1) if cut), count]
        stages = list(itertools.pairwise(ends))
        every.append((fullest(stages), -len(stages)))
    assert (fullest(cuts), -len(cuts)) == min(every)


def test_rows_that_nobody_reads_take_no_room() -> None:
    """Found: the pool leaves out the convolution's second row, and with it the input's last two."""
    made = Made((3, 3, 1), 0)
    found = made.conv("input", 1, (2, 1), strides=(2, 1), pads=((1, 0), (0, 0)))
    made.dense(made.max_pool(found, (1, 1), (2, 1)), 1, logits=True)
    planned = plan(made.network())
    assert planned.maps["input"].kept == 1
    assert planned.arena_bytes == 36


def test_no_whole_map_of_the_reference_network_ever_exists() -> None:
    planned = plan(reference())
    assert planned.arena_bytes == 12_192
    assert max(one.bytes for one in planned.buffers) < 4_000 < 36 * 53 * 16
    assert len(planned.stages[0].steps) == 7  # to the second pool
    assert [planned.maps[step.name].kept for step in planned.stages[0].steps] == [3, 3, 2, 3, 3, 2, 6]
    assert all(len(stage.steps) == 1 for stage in planned.stages[1:])


@MANY
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 30))
def test_a_ring_is_as_long_as_the_window_above_it(window: int, stride: int, pad: int, rows: int) -> None:
    made = Made((max(rows, window), 1, 1), 0)
    first = made.conv("input", 1, (1, 1))
    made.conv(first, 1, (window, 1), (stride, 1), ((pad, pad), (0, 0)))
    inside = steps_of(IntegerNetwork("input", made.shape, 0, tuple(made.layers)))
    assert rows_kept(inside, {inside[-1].name})[first] <= window


def test_a_residual_keeps_what_its_branch_has_not_reached() -> None:
    made = Made((40, 20, 4), 0)
    start = made.conv("input", 4, (1, 1))
    x = made.conv(start, 4, (3, 3), pads=((1, 1), (1, 1)))
    x = made.conv(x, 4, (3, 3), pads=((1, 1), (1, 1)))
    made.dense(made.average(made.add(start, x)), 2, logits=True)
    planned = plan(made.network())
    assert planned.maps[start].kept == 3  # row r of the sum needs row r + 2 of what the branch reads
    assert planned.arena_bytes < 40 * 20 * 4


def test_layers_without_a_reader_are_left_out() -> None:
    made = Made((4, 4, 1), 0)
    used = made.conv("input", 2)
    unused = made.conv("input", 3)
    made.dense(used, 2, logits=True)
    assert unused not in plan(made.network()).maps


def test_many_layers_are_planned_in_few_steps() -> None:
    made = Made((40, 20, 2), 0)
    x = made.conv("input", 4)
    for _ in range(20):
        y = made.conv(x, 4, (3, 3), pads=((1, 1), (1, 1)))
        x = made.add(x, made.conv(y, 4, (3, 3), pads=((1, 1), (1, 1))))
    made.dense(made.average(x), 2, logits=True)
    network = made.network()
    planned = within(lambda: plan(network), 2_000_000)
    assert planned.arena_bytes < 3 * 40 * 20 * 4
