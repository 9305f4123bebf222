"""The best network of a search, as a recipe file that makes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.errors import NotWritable, UserError
from hybridq.paths import check_free
from hybridq.recipe.schema import DATA, REFERENCES
from hybridq.settings.tree import Override, dotted
from hybridq.settings.yamlfile import parse_override, to_yaml

if TYPE_CHECKING:
    from hybridq.recipe.schema import Recipe
    from hybridq.searching.request import Request

PLACES = [(kind.PLACE,) for kind in DATA]  # keys of `data`
MARK = "# Written by hybridq search, which may write it anew."


def check_out(path: Path) -> None:
    """Raise UserError where there is a file that no search has written, or no folder for one."""
    check_free("--out", path, MARK, "not the work of a search")


def write_recipe(request: Request, winner: Recipe, settings: Sequence[Override], description: str) -> str:
    """Write what makes `winner` of the recipe's file: the settings of the command line, these, and a plan. Returns it.

    Where the data is is not written: that is a matter of the machine, or of the recipe's file.
    """
    base, path = request.recipe, request.out
    settings = [*map(parse_override, request.overrides), *settings]
    content: dict[str, Any] = {
        "extends": os.path.relpath(base.path, path.parent),
        "name": path.stem,
        "description": description,
    }
    for one in settings:
        if one.key[0] not in ("name", "description", "precision") and not (
            one.key[0] == "data" and one.key[1:] in PLACES
        ):
            _put(content, one, path)
    if winner.plan != base.plan or any(one.key[0] == "precision" for one in settings):
        content["precision"] = _short(winner)
    text = f"{MARK}\n{to_yaml(content)}"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotWritable(path, error) from error
    return text


def _put(content: dict[str, Any], setting: Override, path: Path) -> None:
    inside = content
    for part in setting.key[:-1]:
        inside = inside.setdefault(part, {})
        if not isinstance(inside, dict):
            raise UserError(f"{setting.node.place}: {dotted(setting.key)}: cannot be set beside {part}")
    value = setting.node.plain()
    if setting.key[0] in REFERENCES and isinstance(value, str):  # relative to this folder, there to the file's
        value = os.path.relpath(value, path.parent)
    inside[setting.key[-1]] = value


def _short(recipe: Recipe) -> dict[str, Any]:
    """A plan as a person writes it: of the weights alone, by the precision alone."""
    rules = recipe.plan.to_data()
    return {pattern: parts["weights"] if set(parts) == {"weights"} else parts for pattern, parts in rules.items()}
