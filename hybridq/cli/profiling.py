"""`hybridq profile`: one report, or two side by side, or the plan that would make a network fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.cli.options import print_json
from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.reader import Graph, read_graph
from hybridq.precision import PrecisionPlan
from hybridq.profiler import render
from hybridq.profiler.accounting import NAME, Accounting, accounting
from hybridq.profiler.profiling import profile, standard_plans
from hybridq.profiler.report import Profile
from hybridq.profiler.result import Result
from hybridq.profiler.targets import DEFAULT_TARGET, Target, custom_target, target

if TYPE_CHECKING:
    from hybridq.profiler.diff import Diff
    from hybridq.profiler.suggest import Suggestion

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
        return custom_target(self.flash, self.ram, target(self.target or default))


def report(path: Path, request: Request) -> Profile:
    """The report on a model file, or on the network of a recipe."""
    return profile(*_opened(path, request))


def side_by_side(path: Path, other: Path, request: Request) -> Diff:
    """The second network against the first."""
    from hybridq.profiler.diff import Diff

    return Diff(report(path, request), report(other, request))


def suggestion(path: Path, request: Request, to: str) -> Suggestion:
    """The fewest layers to narrow so that the network fits the flash: see `suggest`."""
    from hybridq.profiler.suggest import suggest

    narrow = [precision.value for precision in Format if precision is not Format.FLOAT32]
    if to not in narrow:
        raise UserError(f"--to: '{to}' is not one of {', '.join(narrow)}")
    graph, board, start, rules = _opened(path, request)
    if start:
        start.check((op.name for op in graph.weighted), (op.name for op in graph.operators))
    return suggest(graph, board.flash_bytes, Format(to), start, rules=rules)


def print_report(result: Result, format_: str) -> None:
    """Print a result as "table", "json", "csv", "markdown" or "html"."""
    if format_ == "table":
        from hybridq.cli.console import console

        console().print(render.terminal(result))
    elif format_ == "json":
        print_json(result.to_json())
    else:
        written = {"csv": render.csv, "markdown": render.markdown, "html": render.page}[format_]
        print(written(result), end="")


def _opened(path: Path, request: Request) -> tuple[Graph, Target, PrecisionPlan | None, Accounting]:
    """The network, the target, the plan and the accounting: as asked for, else the recipe's own, else the defaults."""
    plan, board, counted = None, DEFAULT_TARGET, NAME
    if path.suffix in RECIPES:
        from hybridq.recipe.file import load_recipe
        from hybridq.runs.experiment import check_plan, graph_of

        recipe = load_recipe(path, request.settings)
        if not request.plan:
            check_plan(recipe)
        graph, plan, board, counted = graph_of(recipe), recipe.plan, recipe.target, recipe.accounting
    elif request.settings:
        raise UserError("--set is for recipes")
    else:
        graph = read_graph(path)
    if request.plan:
        plan = _plan(request.plan, graph)
    return graph, request.board(board), plan, accounting(request.accounting or counted)


def _plan(text: str, graph: Graph) -> PrecisionPlan:
    """The standard plan of that name, or the `precision` section of that YAML file, or the file itself as a plan."""
    standard = standard_plans(graph)
    if text in standard:
        return standard[text]
    if Path(text).suffix not in RECIPES:
        raise UserError(f"--plan {text}: not one of {', '.join(standard)}, nor a YAML file")
    from hybridq.settings.yamlfile import read_yaml

    data = read_yaml(Path(text)).plain()
    if "extends" in data:
        from hybridq.recipe.file import load_recipe

        return load_recipe(Path(text)).plan
    given = data.get("precision", {} if "model" in data or "training" in data else data)
    if not isinstance(given, dict):
        raise UserError(f"{text}: precision must map layer names to precisions")
    return PrecisionPlan.from_data(given)
