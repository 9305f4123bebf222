"""The command that looks for a better network: `search`, in three ways, each a function with options of its own."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import typer

from hybridq.cli.options import (
    Data,
    OutputFormat,
    Settings,
    TableOrJson,
    overrides_of,
    print_result,
    table_or_json,
    the_store,
)
from hybridq.errors import INTERRUPTED, UserError

if TYPE_CHECKING:
    from hybridq.searching.halving_result import HalvingResult
    from hybridq.searching.plan_search import PlansResult
    from hybridq.searching.trials import TrialsResult


@dataclass(frozen=True)
class Asked:
    """What goes with every way to search."""

    recipe: Path | None
    overrides: list[str]
    out: Path
    command: str


@dataclass(frozen=True)
class Limits:
    """What a network must fit into; None: the limit of the recipe's board."""

    flash: str | None = None
    ram: str | None = None
    macc: str | None = None


# The options of each way, by the names that the command has for them.


@dataclass(frozen=True)
class Plans(Limits):
    """Which layers of a recipe may be narrower."""

    way: ClassVar = "precision plans"
    drop: float | None = None
    best: int = 3
    tune_epochs: int = 1
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class Trials(Limits):
    """Values for the keys in the recipe's `search` section."""

    way: ClassVar = "--trials"
    trials: int
    epochs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Networks of all kinds and sizes. Of 27, about nine are trained to a third of the epochs, three fully."""

    way: ClassVar = "--space"
    space: str
    class_: str | None = None
    family: str | None = None
    trials: int = 27
    epochs: int | None = None


Options = TypeVar("Options", Plans, Trials, Networks)
WAYS = (Plans, Trials, Networks)


def search(
    recipe: Annotated[
        Path | None,
        typer.Argument(help="With 8-bit weights and start_from; or with a search section; or to set up --space."),
    ] = None,
    flash: Annotated[str | None, typer.Option(help="Flash to fit into, as `hybridq profile` counts it: 80KiB.")] = None,
    ram: Annotated[str | None, typer.Option(help="RAM to fit into, e.g. 64KiB.")] = None,
    macc: Annotated[str | None, typer.Option(help="Multiply-accumulates of one inference, e.g. 2.3M.")] = None,
    drop: Annotated[
        float | None, typer.Option(min=0, help="Points of accuracy that may be lost; the least flash for that.")
    ] = None,
    best: Annotated[int, typer.Option(min=1, help="Precision plans to train and compare.")] = Plans.best,
    tune_epochs: Annotated[
        int, typer.Option(min=0, help="Epochs of training before the sensitivity of a layer is measured.")
    ] = Plans.tune_epochs,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Instead: so many trials of the recipe's search section, or of --space.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Instead: networks of all kinds and sizes; there is hello-edge.")
    ] = None,
    class_: Annotated[
        str | None, typer.Option("--class", metavar="S|M|L|BOARD", help="With --space: the limits of the networks.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="With --space: these kinds alone, e.g. ds_cnn,gru.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="With --trials or --space: at most so many epochs a training.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The recipe to write.")] = Path("found.yaml"),
    data: Data = None,
    set_: Settings = None,
    workers: Annotated[int, typer.Option(min=1, help="Runs at once; not with --trials or --space.")] = Plans.workers,
    format_: TableOrJson = OutputFormat.table,
) -> None:
    """Find which layers may be narrower, better sizes and training values, or a network for a class of sizes.

    The same command goes on after a stop. It chooses by validation data; nothing looks at test data.
    """
    given = locals()  # all options, by name
    table_or_json("search", format_)
    asked = Asked(recipe, overrides_of(data, set_), out, shlex.join(["hybridq", *sys.argv[1:]]))
    result: PlansResult | TrialsResult | HalvingResult
    with _stoppable():
        if space is not None:
            result = search_networks(asked, options_of(Networks, given))
        elif trials is not None:
            result = search_trials(asked, options_of(Trials, given))
        else:
            result = search_plans(asked, options_of(Plans, given))
        print_result(result, format_)


def search_plans(asked: Asked, options: Plans) -> PlansResult:
    """The most accurate precision plan within the limits or, with `drop`, the smallest; UserError as `Request.of`."""
    recipe = _recipe(asked)
    if options.flash is None and options.drop is None:
        raise UserError("which? --flash 80KiB: the most accurate; --drop 0.5: the smallest; --trials 30: other values")
    from hybridq.searching import plan_search
    from hybridq.searching.request import Request
    from hybridq.searching.write_recipe import check_out
    from hybridq.sweeps import engine

    check_out(asked.out)
    request = Request.of(recipe, asked.overrides, asked.out, _limits(options), asked.command)
    who = engine("local", options.workers)
    return plan_search.search_plans(
        the_store(make=True), request, options.drop, options.best, options.tune_epochs, who, options.workers
    )


def search_trials(asked: Asked, options: Trials) -> TrialsResult:
    """The trials of the recipe's `search` section; UserError as `Request.of` raises it."""
    recipe = _recipe(asked)
    from hybridq.searching.request import Request
    from hybridq.searching.trials import search_values
    from hybridq.searching.write_recipe import check_out

    check_out(asked.out)
    request = Request.of(recipe, asked.overrides, asked.out, _limits(options), asked.command)
    return search_values(the_store(make=True), request, options.trials, options.epochs)


def search_networks(asked: Asked, options: Networks) -> HalvingResult:
    """The networks of a space within the limits of a class; UserError for another space, class or family."""
    if options.space != "hello-edge":
        raise UserError(f"--space: '{options.space}' is not known; there is hello-edge")
    if options.class_ is None:
        raise UserError("--space needs limits: --class S, M, L or a board such as stm32l496")
    from hybridq.recipe.file import load_recipe
    from hybridq.runs.experiment import check_ready
    from hybridq.searching.networks import BASE, chosen_families, limits_of
    from hybridq.searching.request import Request
    from hybridq.searching.successive_halving import search_space
    from hybridq.searching.write_recipe import check_out

    families, limits = chosen_families(options.family), limits_of(options.class_)
    if asked.recipe is None and not Path(BASE).exists():
        raise UserError(f"there is no {BASE} here: name the recipe whose data and training the networks get")
    check_out(asked.out)
    recipe = load_recipe(asked.recipe or BASE, asked.overrides)
    check_ready(recipe)
    request = Request(recipe, asked.overrides, limits, asked.out, asked.command)
    return search_space(the_store(make=True), request, families, options.trials, options.epochs)


def options_of(kind: type[Options], given: Mapping[str, Any]) -> Options:
    """The options of one way out of all that the command was given; UserError for one that goes with other ways.

    An option at its default is as good as not given.
    """
    own = [field.name for field in fields(kind)]
    for field in (field for way in WAYS for field in fields(way) if field.name not in own):
        if given[field.name] not in (None, field.default):
            flag = _flag(field.name)
            ways = " or ".join(way.way for way in WAYS if field.name in way.__dataclass_fields__)
            here = ", ".join(_flag(name) for name in own if _flag(name) != kind.way)
            raise UserError(f"{flag} goes with {ways}; with {kind.way} go {here}")
    return kind(**{name: given[name] for name in own if given[name] is not None})


def _flag(name: str) -> str:
    return f"--{name.strip('_').replace('_', '-')}"


def _recipe(asked: Asked) -> Path:
    if asked.recipe is None:
        raise UserError("which? a recipe; or --space hello-edge --class S")
    return asked.recipe


def _limits(options: Limits) -> tuple[str | None, str | None, str | None]:
    return options.flash, options.ram, options.macc


@contextmanager
def _stoppable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise UserError("interrupted; the same command goes on", INTERRUPTED) from None
