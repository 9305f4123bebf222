"""Looking a layer up in a precision plan."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from hybridq.formats import Format
from hybridq.precision import LayerPrecision, PrecisionPlan

NAMES = st.sampled_from(["a", "b", "ab", "a*", "*", "?", "[ab]", "a[", "b?"])
PARTS = st.dictionaries(st.sampled_from(["weights", "bias", "outputs"]), st.sampled_from(list(Format)), min_size=1)
RULES = st.lists(st.tuples(NAMES, PARTS), max_size=8)


@given(rules=RULES, layer=NAMES)
def test_the_last_rule_that_matches_decides(rules: list[tuple[str, dict[str, Format]]], layer: str) -> None:
    plan = PrecisionPlan(tuple((pattern, tuple(parts.items())) for pattern, parts in rules))
    expected = LayerPrecision()
    for pattern, parts in rules:
        if fnmatchcase(layer, pattern):
            expected = replace(expected, **parts)
    assert plan.of(layer) == expected


@given(rules=RULES, layer=NAMES, to=st.sampled_from(list(Format)))
def test_a_narrowed_layer_has_the_last_word_and_keeps_the_rest(
    rules: list[tuple[str, dict[str, Format]]], layer: str, to: Format
) -> None:
    plan = PrecisionPlan.from_data({pattern: {k: p.value for k, p in parts.items()} for pattern, parts in rules})
    narrowed = plan.narrowed({layer: to})
    assert narrowed.of(layer) == replace(plan.of(layer), weights=to)
    assert PrecisionPlan.from_data(narrowed.to_data()) == narrowed
