"""The choice of a precision for every layer: against all choices there are."""

from __future__ import annotations

import itertools

from effort import within
from hypothesis import given
from hypothesis import strategies as st

from hybridq.searching.knapsack import Option, best_choices

# Eighths are added exactly, so that no order of summing decides what fits.
numbers = st.integers(-80, 400).map(lambda n: n / 8)
group_lists = st.lists(st.lists(st.builds(Option, numbers, numbers), min_size=1, max_size=4), max_size=5)


def weighed(groups: list[list[Option]], choice: tuple[int, ...]) -> tuple[float, float]:
    taken = [group[place] for group, place in zip(groups, choice, strict=True)]
    return sum(option.cost for option in taken), sum(option.weight for option in taken)


@given(groups=group_lists, limit=numbers, count=st.integers(1, 5))
def test_no_other_choice_within_the_limit_is_cheaper(groups: list[list[Option]], limit: float, count: int) -> None:
    every = [weighed(groups, choice) for choice in itertools.product(*(range(len(group)) for group in groups))]
    cheapest = sorted(cost for cost, weight in every if weight <= limit)[:count]
    found = best_choices(groups, limit, count)
    assert [weighed(groups, choice)[0] for choice in found] == cheapest
    assert all(weighed(groups, choice)[1] <= limit for choice in found)
    assert len(set(found)) == len(found)


@given(groups=group_lists, limit=numbers)
def test_of_equally_cheap_choices_the_lightest_is_taken(groups: list[list[Option]], limit: float) -> None:
    every = [weighed(groups, choice) for choice in itertools.product(*(range(len(group)) for group in groups))]
    within = [pair for pair in every if pair[1] <= limit]
    found = [weighed(groups, choice) for choice in best_choices(groups, limit)]
    assert found == ([min(within)] if within else [])


def test_a_network_of_many_layers_takes_few_steps() -> None:
    sizes = [17 * (at % 7 + 1) ** 3 for at in range(40)]
    groups = [
        [Option(loss / (at + 1), size * bits / 8) for loss, bits in ((0, 8), (0.01, 4), (0.05, 2), (0.2, 1))]
        for at, size in enumerate(sizes)
    ]
    assert len(within(lambda: best_choices(groups, sum(sizes) / 3, 3), 5_000_000)) == 3
