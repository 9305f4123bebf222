"""What every search is asked: which recipe, within which limits, and where to write what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridq.profiler.targets import Target, custom_target, target
from hybridq.recipe.file import load_recipe
from hybridq.recipe.schema import Recipe
from hybridq.runs.experiment import check_ready


@dataclass(frozen=True)
class Request:
    """A recipe, and the settings of the command line, which have the last word; the limits; the recipe to write."""

    recipe: Recipe
    overrides: Sequence[str]
    budget: Target  # the recipe's board, with other limits for flash, RAM and operations
    out: Path
    command: str = ""

    @classmethod
    def of(
        cls,
        path: Path,
        overrides: Sequence[str],
        out: Path,
        limits: tuple[str | None, str | None, str | None] = (None, None, None),
        command: str = "",
    ) -> Request:
        """`limits` are flash, RAM and MACC as text; None: that of the recipe's board. UserError as of `train`."""
        recipe = load_recipe(path, overrides)
        check_ready(recipe)
        flash, ram, macc = limits
        return cls(recipe, overrides, custom_target(flash, ram, target(recipe.target), macc), out, command)
