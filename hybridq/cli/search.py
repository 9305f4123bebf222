"""The command that looks for a better network: `search`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hybridq.cli.options import Data, Format, Settings, overrides_of, print_result, the_store
from hybridq.errors import INTERRUPTED, UserError

TRIALS = 27  # networks of a space: of these about nine are trained to a third, three fully


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
    best: Annotated[int, typer.Option(min=1, help="Precision plans to train and compare.")] = 3,
    tune_epochs: Annotated[
        int, typer.Option(min=0, help="Epochs of training before the sensitivity of a layer is measured.")
    ] = 1,
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
    workers: Annotated[int, typer.Option(min=1, help="Runs at once; not with --trials or --space.")] = 1,
    format_: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.table,
) -> None:
    """Find which layers may be narrower, better sizes and training values, or a network for a class of sizes.

    The same command goes on after a stop. It chooses by validation clips; nothing looks at test clips.
    """
    if format_ not in (Format.table, Format.json):
        raise UserError("search prints --format table or json")
    command, overrides = shlex.join(["hybridq", *sys.argv[1:]]), overrides_of(data, set_)
    if space is not None:
        if drop is not None or workers > 1 or any((flash, ram, macc)):
            raise UserError("--flash, --ram, --macc, --drop and --workers do not go with --space; its limits: --class")
        _search_space(space, class_, family, recipe, overrides, out, command, trials or TRIALS, epochs, format_)
        return
    if class_ is not None or family is not None:
        raise UserError("--class and --family go with --space")
    if recipe is None:
        raise UserError("which? a recipe; or --space hello-edge --class S")
    if trials is None and flash is None and drop is None:
        raise UserError("which? --flash 80KiB: the most accurate; --drop 0.5: the smallest; --trials 30: other values")
    if trials is not None and (drop is not None or workers > 1):
        raise UserError("--drop and --workers do not go with --trials")
    if trials is None and epochs is not None:
        raise UserError("--epochs goes with --trials; plans are trained as the recipe says")
    from hybridq.search.precision import search_plans
    from hybridq.search.request import Request
    from hybridq.search.trials import search_values
    from hybridq.search.write_recipe import check_free
    from hybridq.sweeps import engine

    check_free(out)
    request = Request.of(recipe, overrides, out, (flash, ram, macc), command)
    with _stoppable():
        if trials is None:
            who = engine("local", workers)
            print_result(search_plans(the_store(), request, drop, best, tune_epochs, who, workers), format_)
        else:
            print_result(search_values(the_store(), request, trials, epochs), format_)


def _search_space(
    space: str,
    class_: str | None,
    family: str | None,
    recipe: Path | None,
    overrides: list[str],
    out: Path,
    command: str,
    trials: int,
    epochs: int | None,
    format_: Format,
) -> None:
    if space != "hello-edge":
        raise UserError(f"--space: '{space}' is not known; there is hello-edge")
    if class_ is None:
        raise UserError("--space needs limits: --class S, M, L or a board such as stm32l496")
    from hybridq.recipe.file import load_recipe
    from hybridq.search.networks import BASE, chosen_families, limits_of
    from hybridq.search.request import Request
    from hybridq.search.successive_halving import search_space
    from hybridq.search.write_recipe import check_free

    families, limits = chosen_families(family), limits_of(class_)
    if recipe is None and not Path(BASE).exists():
        raise UserError(f"there is no {BASE} here: name the recipe whose data and training the networks get")
    check_free(out)
    request = Request(load_recipe(recipe or BASE, overrides), overrides, limits, out, command)
    with _stoppable():
        print_result(search_space(the_store(), request, families, trials, epochs), format_)


@contextmanager
def _stoppable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise UserError("interrupted; the same command goes on", INTERRUPTED) from None
