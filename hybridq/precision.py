"""The precision plan: for each layer, in which number format its weights, bias and outputs are.

A plan is data, an ordered mapping from layer-name patterns to formats (`hybridq.formats`)::

    "conv*": 8-bit                                # weights only
    "dense*": {weights: binary, bias: float32}
    "*": {outputs: 8-bit}                         # every tensor between layers
    dense_2: 8-bit                                # a later rule wins over an earlier one
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from hybridq.errors import UserError, did_you_mean, nearest
from hybridq.formats import Format


@dataclass(frozen=True)
class LayerPrecision:
    """The precisions of one layer; what a plan does not mention stays as it is, float32 in a float network."""

    weights: Format = Format.FLOAT32
    bias: Format = Format.FLOAT32
    outputs: Format = Format.FLOAT32


FLOATS = LayerPrecision()
WILD = frozenset("*?[")  # what makes a pattern of a name
PARTS = ("weights", "bias", "outputs")


@dataclass(frozen=True)
class PrecisionPlan:
    """Ordered rules (pattern, {part: precision}); the last rule that names a part of a layer decides it."""

    rules: tuple[tuple[str, tuple[tuple[str, Format], ...]], ...] = ()

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PrecisionPlan:
        """Read a plan from plain data; raises UserError for an unknown part or precision."""
        return cls(tuple((str(pattern), _parts(str(pattern), value)) for pattern, value in data.items()))

    @classmethod
    def of_any(cls, plan: PrecisionPlan | Mapping[str, Any]) -> PrecisionPlan:
        """A plan itself, or the plan of plain data; raises UserError as `from_data`, and for what is neither."""
        if isinstance(plan, PrecisionPlan):
            return plan
        if not isinstance(plan, Mapping):
            raise UserError(
                f"plan: must map patterns of layer names to precisions, and is a {type(plan).__name__}: "
                '{"conv*": "8-bit", "dense*": "binary", "*": {"outputs": "8-bit"}} is one'
            )
        return cls.from_data(plan)

    def to_data(self) -> dict[str, dict[str, str]]:
        """The plan as plain data, the form a recipe resolves to."""
        return {pattern: {part: p.value for part, p in parts} for pattern, parts in self.rules}

    def of(self, layer: str, own: LayerPrecision = FLOATS) -> LayerPrecision:
        """The precisions of the layer of that name; what no rule mentions stays as `own`."""
        known = self._found.setdefault(layer, {})
        if own not in known:
            precision = own
            for place in sorted((*self._of_one.get(layer, ()), *self._of_many)):
                pattern, parts = self.rules[place]
                if fnmatchcase(layer, pattern):
                    precision = replace(precision, **dict(parts))
            known[own] = precision
        return known[own]

    def names(self, layer: str) -> bool:
        """Whether a rule is about this layer alone."""
        return layer in self._of_one

    def narrowed(self, weights: Mapping[str, Format]) -> PrecisionPlan:
        """The plan with the weights of these layers as given; each has the last word, in place of a rule of its own."""
        rules = dict(self.rules)
        for layer, precision in weights.items():
            pattern = glob.escape(layer)
            own = {part: getattr(self.of(layer), part) for part, _ in rules.pop(pattern, ())}
            rules[pattern] = tuple((own | {"weights": precision}).items())
        return PrecisionPlan(tuple(rules.items()))

    @cached_property
    def _found(self) -> dict[str, dict[LayerPrecision, LayerPrecision]]:
        """What was found for a layer: a report asks dozens of times for each."""
        return {}

    @cached_property
    def _of_one(self) -> dict[str, list[int]]:
        """The places of the rules about a single layer, by its name: a plan may have one for each of thousands."""
        by_name: dict[str, list[int]] = {}
        for place, (pattern, _) in enumerate(self.rules):
            by_name.setdefault(pattern, []).append(place)
        return {name: places for name, places in by_name.items() if not WILD & set(name)}

    @cached_property
    def _of_many(self) -> tuple[int, ...]:
        """The places of the other rules."""
        return tuple(place for place, (pattern, _) in enumerate(self.rules) if WILD & set(pattern))

    def check(
        self, weighted: Iterable[str], every: Iterable[str] = (), place: Callable[[str], str] = lambda pattern: ""
    ) -> None:
        """Raise UserError for the first pattern that matches no layer; `place` says where each stands, if in a file.

        A rule is about the layers with weights; one that names outputs may be about any of `every` layer.
        """
        with_weights, with_outputs = list(weighted), list(every)
        for pattern, parts in self.rules:
            names = with_weights
            if "outputs" in dict(parts):
                names = names + [name for name in with_outputs if name not in names]
            if not any(fnmatchcase(name, pattern) for name in names):
                near = nearest(pattern.strip("*?"), names)
                hint = f"; the nearest layer is '{near[0]}'" if near else ""
                where = f"{place(pattern)}: " if place(pattern) else ""
                raise UserError(
                    f"{where}precision: the pattern '{pattern}' matches no layer{hint} (layers: {', '.join(names)})"
                )


def _parts(pattern: str, value: Any) -> tuple[tuple[str, Format], ...]:
    given = value if isinstance(value, Mapping) else {"weights": value}
    unknown = [part for part in given if part not in PARTS]
    if unknown:
        raise UserError(f"precision.{pattern}: unknown key '{unknown[0]}'{_nearest(unknown[0], PARTS)}")
    return tuple((str(part), _precision(f"{pattern}.{part}", given[part])) for part in given)


def _precision(where: str, value: Any) -> Format:
    try:
        return Format(value)
    except ValueError:
        names = [p.value for p in Format]
        raise UserError(f"precision.{where}: '{value}' is not a precision{_nearest(value, names)}") from None


def _nearest(word: Any, choices: Iterable[str]) -> str:
    return did_you_mean(str(word), choices, likeness=0.4) or f" (one of: {', '.join(choices)})"
