"""Recipes of any values: what is read again, set from outside, and digested."""

import json
from typing import Any

import yaml
from conftest import Write
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.formats import Format
from hybridq.recipe.file import load_recipe
from hybridq.settings.yamlfile import to_yaml

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 _.:-]{0,20}", fullmatch=True),
    "description": st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    "data.source": st.sampled_from(["synthetic", "v0.01", "v0.02", "/clips"]),
    "data.words": st.just("auto")
    | st.lists(st.sampled_from(["yes", "no", "on", "off", "null", "1", "5e3", "é"]), min_size=2, unique=True),
    "data.silence": st.floats(0, 1),
    "data.unknown": st.floats(0, 1),
    "data.unknown_spliced": st.floats(0, 1),
    "data.unknown_words": st.just("auto") | st.lists(st.sampled_from(["cat", "zero"]), min_size=1, unique=True),
    "data.voices": st.integers(3, 1000),
    "data.balance": st.booleans(),
    "features.coefficients": st.integers(1, 40),
    "features.frames": st.integers(1, 61),
    "features.transform": st.sampled_from([512, 1024, 2048]),
    "features.low_hz": st.floats(0, 4000) | st.integers(0, 4000),
    "features.floor": st.floats(1e-300, 1.0),
    "model.padding": st.sampled_from(["valid", "same"]),
    "model.filters": st.lists(st.integers(1, 128), min_size=6, max_size=6),
    "model.dropout": st.floats(0, 1, exclude_max=True),
    "precision": st.dictionaries(
        st.sampled_from(["conv2d*", "dense*", "dense_2", "*"]),
        st.sampled_from([p.value for p in Format])
        | st.dictionaries(
            st.sampled_from(["weights", "bias", "outputs"]),
            st.sampled_from([p.value for p in Format]),
            min_size=1,
        ),
    ),
    "decision.threshold": st.floats(0, 1),
    "training.seed": st.integers(0, 2**32 - 1),
    "training.epochs": st.integers(1, 1000),
    "training.learning_rate": st.floats(1e-12, 10),
    "training.schedule": st.sampled_from(["constant", "cosine", "step"]),
    "training.augment.gain_db": st.tuples(st.floats(-20, 0), st.integers(0, 20)).map(list),
    "training.augment.tempo": st.just([0.9, 1.1]),
    "training.augment.hiss_db": st.none() | st.just([20, 30.5]),
    "published": st.none() | st.fixed_dictionaries({"label": st.just("theirs"), "accuracy": st.floats(0, 100)}),
}


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """{"training.epochs": 3} as {"training": {"epochs": 3}}."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        *sections, last = key.split(".")
        inside = found
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[last] = value
    return found


@settings(deadline=None, max_examples=30)
@given(
    values=st.fixed_dictionaries({}, optional=VALUES),
    others=st.sets(st.sampled_from(["start_from", "teacher"])),
    seed=st.integers(0, 9),
)
def test_resolved_is_a_recipe_with_the_same_digest(
    write: Write, values: dict[str, Any], others: set[str], seed: int
) -> None:
    write("name: first\nprecision: {dense: 4-bit}\n", "first.yaml")
    named = dict.fromkeys(sorted(others), "first.yaml")
    recipe = load_recipe(write(to_yaml(nested(values) | named)), [f"training.seed={seed}"])
    resolved = recipe.resolved()
    assert json.loads(json.dumps(resolved)) == resolved
    again = load_recipe(write(to_yaml(resolved), "again.yaml"))
    assert yaml.safe_load(to_yaml(resolved)) == resolved  # a reader of YAML 1.1 sees the same
    assert again.digest() == recipe.digest()
    assert again.resolved() == resolved
    assert set(again.references) == others
    assert all(other.training.seed == seed for several in again.references.values() for other in several)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), key=st.sampled_from(sorted(VALUES)))
def test_a_setting_equals_the_same_value_in_the_file(write: Write, data: st.DataObject, key: str) -> None:
    value = data.draw(VALUES[key])
    in_file = load_recipe(write(to_yaml(nested({key: value}))))
    set_from_outside = load_recipe(write("training: {batch: 64}\n"), [f"{key}={json.dumps(value)}"])
    assert set_from_outside.resolved() == in_file.resolved()
    assert set_from_outside.flat() == in_file.flat()
