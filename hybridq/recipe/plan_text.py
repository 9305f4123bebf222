"""A precision plan as a command is given it: a name, a file, or the patterns themselves."""

from __future__ import annotations

import re
from pathlib import Path

from hybridq.errors import UserError, did_you_mean
from hybridq.graph.operators import Graph
from hybridq.precision import PrecisionPlan
from hybridq.profiler.profiling import standard_plans
from hybridq.settings.yamlfile import parse_mapping, read_yaml

FILES = (".yaml", ".yml", ".json")
COLON = re.compile(r":(?=\S)")  # one that YAML would take for a part of the word
WILD_FIRST = re.compile(r"(^|[{,]\s*)(\*[^\s,:{}'\"]*)\s*:")  # a pattern that YAML would take for a reference


def read_plan(text: str, graph: Graph) -> PrecisionPlan:
    """The plan that `--plan` names, for a network. Raises UserError for what is none.

    It is a standard plan (`int8`, `hybrid`), a recipe, a YAML or JSON file of layer patterns, or these themselves,
    `dense*: binary, '*': {outputs: 8-bit}`.
    """
    standard = standard_plans(graph)
    if text in standard:
        return standard[text]
    path = Path(text)
    if path.suffix in FILES:
        return _of_file(path)
    if ":" not in text:
        raise UserError(
            f"--plan {text}: none of {', '.join(standard)}, no YAML or JSON file, and no patterns as 'dense*: binary'"
            + did_you_mean(text, standard)
        )
    quoted = WILD_FIRST.sub(r"\1'\2':", COLON.sub(": ", text.strip()))
    return PrecisionPlan.from_data(parse_mapping(quoted if quoted.startswith("{") else f"{{{quoted}}}", "--plan"))


def _of_file(path: Path) -> PrecisionPlan:
    """That of a recipe, with what it extends; or the `precision` section of a file, or the file itself as a plan."""
    data = read_yaml(path).plain()
    if "extends" in data:
        from hybridq.recipe.file import load_recipe

        return load_recipe(path).plan
    given = data.get("precision", {} if "model" in data or "training" in data else data)
    if not isinstance(given, dict):
        raise UserError(f"{path}: precision must map layer names to precisions")
    return PrecisionPlan.from_data(given)
