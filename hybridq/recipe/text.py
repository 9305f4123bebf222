"""A recipe as text: its values in a table, its plan and what it needs in a line each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hybridq.precision import PrecisionPlan
from hybridq.settings.tree import Key, shown


def names(recipes: Iterable[tuple[str, int]]) -> str:
    """Several recipes, by name and seed, in one line: "small, big (seeds 0, 1, 2)"."""
    seeds: dict[str, list[str]] = {}
    for recipe, seed in recipes:
        seeds.setdefault(recipe, []).append(str(seed))
    return ", ".join(f"{name} (seeds {', '.join(its)})" if len(its) > 1 else name for name, its in seeds.items())


def leaves(value: Any, key: Key) -> list[tuple[Key, str]]:
    """The scalars in plain data, and lists as one text each, with their keys below `key`."""
    if isinstance(value, dict):
        return [leaf for name, child in value.items() for leaf in leaves(child, (*key, name))]
    if isinstance(value, list):
        return [(key, ", ".join(str(item) for item in value))]
    return [(key, value if isinstance(value, str) else shown(value))]


def one_line(plan: PrecisionPlan) -> str:
    """A plan in one line: "binary, 8-bit: conv2d* 8-bit, dense* binary"; parts other than the weights are named.

    What is narrow comes first: charts cut the text after a few characters.
    """
    rules = [
        " ".join([pattern, *(str(p) if part == "weights" else f"{part} {p}" for part, p in parts)])
        for pattern, parts in plan.rules
    ]
    kinds = {dict(parts)["weights"] for _, parts in plan.rules if "weights" in dict(parts)}
    named = ", ".join(str(kind) for kind in sorted(kinds, key=lambda kind: kind.bits)) or "float32"
    return f"{named}: {', '.join(rules)}" if rules else named
