"""`hybridq profile`: one report, or two side by side, or the plan that would make a network fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.errors import UserError
from hybridq.graph import Graph, read_graph
from hybridq.precision import PrecisionPlan
from hybridq.profiler.accounting import NAME
from hybridq.profiler.report import Profile, profile, standard_plans
from hybridq.profiler.targets import DEFAULT_TARGET, Target, custom_target, target

if TYPE_CHECKING:
    from hybridq.profiler.suggest import Suggestion
    from hybridq.recipe import Recipe

RECIPES = (".yaml", ".yml")


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    target: str | None = None
    flash: str | None = None
    ram: str | None = None
    accounting: str | None = None
    plan: str | None = None
    settings: tuple[str, ...] = ()

    def board(self, default: str) -> Target:
        """The target by its name, with the limits that were given by hand."""
        found = target(self.target or default)
        if self.flash is None and self.ram is None:
            return found
        return custom_target(self.flash, self.ram, found if self.target else None)


def report(path: Path, request: Request) -> Profile:
    """The report on a model file, or on the network of a recipe."""
    graph, recipe = _opened(path, request)
    plan = recipe.plan if recipe else None
    if request.plan:
        plan = _plan(request.plan, graph)
    board = request.board(recipe.target if recipe else DEFAULT_TARGET)
    return profile(graph, board, plan, request.accounting or (recipe.accounting if recipe else NAME))


def suggestion(path: Path, request: Request, to: str) -> Suggestion:
    """The fewest layers to narrow so that the network fits the flash: see `suggest`."""
    from hybridq.precision import Precision
    from hybridq.profiler import accounting
    from hybridq.profiler.suggest import suggest

    graph, recipe = _opened(path, request)
    start = _plan(request.plan, graph) if request.plan else recipe.plan if recipe else None
    board = request.board(recipe.target if recipe else DEFAULT_TARGET)
    if to not in (precision.value for precision in Precision):
        raise UserError(f"--to: '{to}' is not one of {', '.join(p.value for p in Precision)}")
    rules = accounting.accounting(request.accounting or (recipe.accounting if recipe else NAME))
    return suggest(graph, board.flash_bytes, Precision(to), start, rules=rules)


def _opened(path: Path, request: Request) -> tuple[Graph, Recipe | None]:
    if path.suffix not in RECIPES:
        if request.settings:
            raise UserError("--set is for recipes")
        return read_graph(path), None
    from hybridq.experiment import graph_of
    from hybridq.recipe import load_recipe

    recipe = load_recipe(path, request.settings)
    return graph_of(recipe), recipe


def _plan(text: str, graph: Graph) -> PrecisionPlan:
    """The standard plan of that name, or the `precision` section of that YAML file, or the file itself as a plan."""
    standard = standard_plans(graph)
    if text in standard:
        return standard[text]
    if Path(text).suffix not in RECIPES:
        raise UserError(f"--plan {text}: not one of {', '.join(standard)}, nor a YAML file")
    from hybridq.yamlfile import read_yaml

    data = read_yaml(Path(text)).plain()
    if "extends" in data:
        from hybridq.recipe import load_recipe

        return load_recipe(Path(text)).plan
    given = data.get("precision", {} if "model" in data or "training" in data else data)
    if not isinstance(given, dict):
        raise UserError(f"{text}: precision must map layer names to precisions")
    return PrecisionPlan.from_data(given)
