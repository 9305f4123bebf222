"""The command that looks for a better network: `search`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from hybridq.cli.options import Data, Format, Settings, overrides_of, print_result, the_store
from hybridq.errors import INTERRUPTED, UserError


def search(
    recipe: Annotated[Path, typer.Argument(help="With 8-bit weights and start_from; or with a search section.")],
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
        int | None, typer.Option(min=1, help="Instead: so many trials of the recipe's search section.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="With --trials: at most so many epochs a training.")] = None,
    out: Annotated[Path, typer.Option(help="The recipe to write.")] = Path("found.yaml"),
    data: Data = None,
    set_: Settings = None,
    workers: Annotated[int, typer.Option(min=1, help="Runs at once; not with --trials.")] = 1,
    format_: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.table,
) -> None:
    """Find which layers may be narrower, or better sizes and training values. The same command goes on after a stop.

    It chooses by validation clips; nothing looks at test clips.
    """
    if format_ not in (Format.table, Format.json):
        raise UserError("search prints --format table or json")
    if trials is None and flash is None and drop is None:
        raise UserError("which? --flash 80KiB: the most accurate; --drop 0.5: the smallest; --trials 30: other values")
    if trials is not None and (drop is not None or workers > 1):
        raise UserError("--drop and --workers do not go with --trials")
    if trials is None and epochs is not None:
        raise UserError("--epochs goes with --trials; plans are trained as the recipe says")
    from hybridq.search.found import check_free
    from hybridq.search.precision import search_plans
    from hybridq.search.request import Request
    from hybridq.search.trials import search_values
    from hybridq.sweeps import engine

    check_free(out)
    command = shlex.join(["hybridq", *sys.argv[1:]])
    request = Request.of(recipe, overrides_of(data, set_), out, (flash, ram, macc), command)
    try:
        if trials is None:
            who = engine("local", workers)
            print_result(search_plans(the_store(), request, drop, best, tune_epochs, who, workers), format_)
        else:
            print_result(search_values(the_store(), request, trials, epochs), format_)
    except KeyboardInterrupt:
        raise UserError("interrupted; the same command goes on", INTERRUPTED) from None
