"""A plan as a command is given it: by name, from a file, or written out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hybridq.errors import UserError
from hybridq.graph.operators import Graph
from hybridq.precision import PrecisionPlan
from hybridq.recipe.plan_text import read_plan

NOTHING = Graph("nothing", (), ())
DATA = {"*": {"outputs": "8-bit"}, "*_dw": "4-bit", "conv*": "8-bit", "dense*": {"weights": "binary"}}


@pytest.mark.parametrize(
    "text",
    [
        "'*': {outputs: 8-bit}, '*_dw': 4-bit, conv*: 8-bit, dense*: {weights: binary}",
        "*: {outputs: 8-bit}, *_dw: 4-bit, conv*: 8-bit, dense*: {weights: binary}",
        "*:{outputs:8-bit},*_dw:4-bit,conv*:8-bit,dense*:{weights:binary}",
        json.dumps(DATA),
    ],
)
def test_patterns_are_read_as_people_write_them(text: str) -> None:
    assert read_plan(text, NOTHING) == PrecisionPlan.from_data(DATA)


def test_files_hold_a_plan_a_section_or_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(DATA))
    (tmp_path / "section.yaml").write_text(f"model: {{name: dnn}}\nprecision: {json.dumps(DATA)}\n")
    (tmp_path / "recipe.yml").write_text("extends: section.yaml\nname: a\n")
    for name in ("plan.json", "section.yaml", "recipe.yml"):
        assert read_plan(str(tmp_path / name), NOTHING) == PrecisionPlan.from_data(DATA)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "bits",
            "--plan bits: none of int8, int8-weights, hybrid, no YAML or JSON file, and no patterns as "
            "'dense*: binary'",
        ),
        ("conv: 9-bit", "'9-bit' is not a precision"),
        ("{a: [}", "--plan: not valid YAML"),
        ("[a: b]", "--plan: a key must be text"),
        ("none.yaml", "none.yaml: no such file"),
    ],
)
def test_what_is_no_plan_is_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("*", r"\*")):
        read_plan(text, NOTHING)
