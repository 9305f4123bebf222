"""`hybridq profile`: one report, or two side by side, or the plan that would make a network fit."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridq.cli.options import print_json
from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.inputs import InputShapes
from hybridq.graph.reader import Graph, read_graph
from hybridq.precision import PrecisionPlan
from hybridq.profiler import render
from hybridq.profiler.accounting import NAME, Accounting, accounting
from hybridq.profiler.profiling import dense_but_last, profile
from hybridq.profiler.report import Profile
from hybridq.profiler.result import Result
from hybridq.profiler.targets import DEFAULT_TARGET, Target, custom_target, target
from hybridq.quantization.decomposition import check_names

if TYPE_CHECKING:
    from hybridq.profiler.diff import Diff
    from hybridq.profiler.suggest import Suggestion
    from hybridq.profiler.tflm.setup import Setup

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
    input_shapes: tuple[str, ...] = ()

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


def suggestion(path: Path, request: Request, to: str) -> Suggestion | Setup:
    """The fewest layers to narrow so that the network fits the flash: see `suggest`; tflm: a program's lines."""
    from hybridq.profiler.suggest import suggest

    narrow = [precision.value for precision in Format if precision is not Format.FLOAT32]
    if to not in narrow:
        raise UserError(f"--to: '{to}' is not one of {', '.join(narrow)}")
    graph, board, start, rules = _opened(path, request)
    if rules.tflm:
        from hybridq.profiler.tflm.setup import setup

        return setup(graph, board)
    if start:
        check_names(graph, start)
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

        if request.input_shapes:
            raise UserError("--input-shape is for model files; a recipe says its own")
        recipe = load_recipe(path, request.settings)
        if not request.plan:
            check_plan(recipe)
        graph, plan, board, counted = graph_of(recipe), recipe.plan, recipe.target, recipe.accounting
    elif request.settings:
        raise UserError("--set is for recipes")
    else:
        graph = read_graph(path, InputShapes.of_texts(request.input_shapes))
    if request.plan:
        from hybridq.recipe.plan_text import read_plan  # it reads YAML

        plan = read_plan(request.plan, graph)
        if request.plan == "hybrid" and not dense_but_last(graph):
            print(f"--plan hybrid {render.NOTHING_TO_NARROW}", file=sys.stderr)
    return graph, request.board(board), plan, accounting(request.accounting or counted)
