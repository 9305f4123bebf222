"""Which layers to make narrower so that a network fits a flash: the fewest, by their bytes alone.

What a layer's precision costs in accuracy is not in this: a suggestion is where to begin, not a result.
"""

from __future__ import annotations

import glob
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hybridq.graph import Graph
from hybridq.precision import PARTS, Precision, PrecisionPlan
from hybridq.profiler.accounting import NEWEST, Accounting
from hybridq.profiler.memory import weights_bytes
from hybridq.profiler.merge import merge, precision_of
from hybridq.profiler.tables import size

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Change:
    """One layer made narrower: the bytes that this saves, and the flash of the network after it."""

    layer: str
    before: Precision
    saved_bytes: int
    flash_bytes: int


@dataclass(frozen=True)
class Suggestion:
    """A precision plan, how it comes about, and whether it is enough."""

    plan: PrecisionPlan
    to: Precision
    limit_bytes: int
    start_bytes: int  # flash before the first change
    changes: tuple[Change, ...]  # the most bytes saved first

    @property
    def flash_bytes(self) -> int:
        """Flash under the plan."""
        return self.changes[-1].flash_bytes if self.changes else self.start_bytes

    @property
    def fits(self) -> bool:
        """Whether that is within the limit."""
        return self.flash_bytes <= self.limit_bytes

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "to": self.to.value,
            "limit_bytes": self.limit_bytes,
            "start_bytes": self.start_bytes,
            "flash_bytes": self.flash_bytes,
            "fits": self.fits,
            "changes": [asdict(change) | {"before": change.before.value} for change in self.changes],
            "plan": self.plan.to_data(),
        }

    def to_rich(self) -> Text:
        """The lines, for a terminal."""
        from rich.text import Text

        return Text("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """The same in words, a line for each change and one for the end."""
        said = [
            f"{change.layer}: {change.before} to {self.to} saves {size(change.saved_bytes)}, "
            f"{size(change.flash_bytes)} left"
            for change in self.changes
        ]
        count = len(self.changes)
        how = f"with {count} layer{'s' * (count > 1)} to {self.to}" if count else "as it is"
        verdict = "Fits" if self.fits else "Nothing helps enough: does not fit"
        return [*said, f"{verdict} {size(self.limit_bytes)} of flash {how}: {size(self.flash_bytes)}"]


def suggest(
    graph: Graph,
    flash_bytes: int,
    to: Precision = Precision.BINARY,
    start: PrecisionPlan | None = None,
    keep_last: bool = True,
    rules: Accounting = NEWEST,
) -> Suggestion:
    """The fewest layers whose weights must go to the precision `to` for the network to take `flash_bytes` or less.

    `start` is the plan to begin with; without it the network's own precisions. With `keep_last` the layers that the
    network ends with, which decide between the classes, are changed only where all others are not enough. If nothing
    is enough, all layers that save something are changed. The bytes are counted by `rules`.

    What a layer saves depends on its own precision only, so whoever takes the largest savings first needs the fewest.
    """
    given = start.rules if start else _own_rules(graph)

    def flash(*narrowed: str) -> int:
        plan = PrecisionPlan((*given, *(_rule(name, to) for name in narrowed)))
        return sum(weights_bytes(merge(graph, rules, plan), plan, rules))

    base = PrecisionPlan(given)
    total = start_bytes = flash()
    names = [op.name for op in graph.weighted if to.bits < base.of(op.name).weights.bits]
    savings = {name: start_bytes - flash(name) for name in names}
    savings = {name: saved for name, saved in savings.items() if saved > 0}  # tables may eat it up
    if keep_last:
        last = _last(graph)
        others = {name: saved for name, saved in savings.items() if name not in last}
        if total - sum(others.values()) <= flash_bytes:
            savings = others
    changes = []
    for name, saved in sorted(savings.items(), key=lambda pair: -pair[1]):
        if total <= flash_bytes:
            break
        total -= saved
        changes.append(Change(name, base.of(name).weights, saved, total))
    plan = PrecisionPlan((*given, *(_rule(change.layer, to) for change in changes)))
    return Suggestion(plan, to, flash_bytes, start_bytes, tuple(changes))


def _rule(layer: str, weights: Precision) -> tuple[str, tuple[tuple[str, Precision], ...]]:
    return glob.escape(layer), (("weights", weights),)


def _own_rules(graph: Graph) -> tuple[tuple[str, tuple[tuple[str, Precision], ...]], ...]:
    """The precisions that the layers have by themselves, as rules; none for a float network."""
    own = {op.name: precision_of(op, None) for op in graph.weighted if op.precision}
    return tuple(
        (glob.escape(name), tuple((part, getattr(said, part)) for part in PARTS)) for name, said in own.items()
    )


def _last(graph: Graph) -> set[str]:
    """The layers with a kernel after which there is no other on the way to an output."""
    operators = {op.name: op for op in graph.operators}
    found, waiting, seen = set(), list(graph.outputs), set()
    while waiting:
        op = operators[waiting.pop()]
        if op.name in seen:
            continue
        seen.add(op.name)
        if op.kernel:
            found.add(op.name)
        else:
            waiting.extend(op.inputs)
    return found
