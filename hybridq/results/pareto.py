"""The Pareto front: of points that cost and gain something, those that no other one beats."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points (cost, gain) on the front, by rising cost; of equal points the first.

    A point is on it if every other one costs more or gains less.
    """
    on_front: list[int] = []
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        if not on_front or points[place][1] > points[on_front[-1]][1]:
            on_front.append(place)
    return on_front
