"""Commands that show what there is: `compare`, `profile`, `evaluate`, `ui`."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridq.cli.options import (
    Data,
    Inputs,
    Labels,
    Output,
    OutputFormat,
    Settings,
    TableOrJson,
    print_json,
    print_result,
    source_of,
    table_or_json,
    the_store,
)
from hybridq.errors import RUN_FAILED, UserError

if TYPE_CHECKING:
    from hybridq.profiler import Profile
    from hybridq.profiler.diff import Diff
    from hybridq.profiler.suggest import Suggestion
    from hybridq.profiler.tflm.setup import Setup
    from hybridq.runs.measurement import Measurement


class ReportFormat(str, Enum):
    """How a memory report is printed."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    html = "html"


class SplitName(str, Enum):
    """Which clips of a data set."""

    training = "training"
    validation = "validation"
    test = "test"
    all = "all"


def compare(
    runs: Annotated[list[str] | None, typer.Argument(help="Ids or names of runs or sweeps; else the newest.")] = None,
    filter_: Annotated[
        list[str] | None,
        typer.Option("--filter", help="Only such runs, e.g. 'flash KiB<100', recipe=hybrid; may be given again."),
    ] = None,
    sort: Annotated[str, typer.Option(help="Column to sort by, e.g. accuracy; -accuracy: the largest first.")] = "",
    each: Annotated[bool, typer.Option("--each", help="A line a run, in place of the mean over its seeds.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="What differs between two runs: recipe, data, figures.")] = False,
    pareto: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw accuracy over flash, with the Pareto front.")
    ] = None,
    format_: Output = OutputFormat.table,
) -> None:
    """Print runs side by side, beside the published figures."""
    if pareto:
        from hybridq.results.drawing import check_picture

        check_picture("--pareto", pareto)
    store = the_store()
    if diff:
        if len(runs or ()) != 2 or filter_ or sort or each or pareto:
            raise UserError("--diff takes two runs and no other option but --format: hybridq compare --diff RUN1 RUN2")
        from hybridq.results.diff import run_diff

        print_result(run_diff(store, *(runs or ())), format_)
        return
    from hybridq.results.compare import newest, table
    from hybridq.results.drawing import save
    from hybridq.results.query import filtered

    there = store.runs(ids_or_names=runs or ())
    chosen = filtered(there, filter_ or ())
    if there and not chosen:
        count = sum(bool(run.params) for run in there)  # the parent of a sweep has none
        where = "among those named" if runs else "in the store"
        raise UserError(f"no run matches {' and '.join(filter_ or ())}; {count} run{'s' * (count != 1)} {where}")
    comparison = table(chosen if runs else newest(chosen), sort=sort, each=each)
    print_result(comparison, format_)
    if pareto:
        from hybridq.results.scatter import frontier

        save(frontier(comparison), pareto)
        print(f"{pareto}: on the front {', '.join(row.network for row in comparison.front)}", file=sys.stderr)


def profile(
    recipe_or_model: Path,
    target: Annotated[str | None, typer.Option(help="The board to fit into.")] = None,
    flash: Annotated[str | None, typer.Option(help="Flash to fit into, e.g. 1MiB; in place of a board's.")] = None,
    ram: Annotated[str | None, typer.Option(help="RAM to fit into, e.g. 320KiB; in place of a board's.")] = None,
    accounting: Annotated[
        str | None,
        typer.Option(help="x-cube-ai (the newest), x-cube-ai:8.1, x-cube-ai:2.2 (Core), packed (our image), tflm."),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(help="What if: int8 (weights and tensors), int8-weights, hybrid, a YAML file, 'dense*: binary'."),
    ] = None,
    input_shape: Annotated[
        list[str] | None,
        typer.Option(
            "--input-shape", metavar="96x96x3", help="Of an input that the file leaves open; or NAME=96x96x3."
        ),
    ] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="The fewest layers to narrow to fit the flash.")] = False,
    to: Annotated[
        str | None, typer.Option(help="What --suggest narrows them to: binary (the default), ternary, 4-bit, 8-bit.")
    ] = None,
    diff: Annotated[Path | None, typer.Option(help="Another recipe or model, to stand beside this one.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where a layer has no rule.")] = False,
    set_: Settings = None,
    format_: Annotated[ReportFormat, typer.Option("--format", help="How to print it.")] = ReportFormat.table,
) -> None:
    """Print where flash, RAM and MACC go, layer by layer: of a recipe, a .keras, .h5 or .tflite file, a SavedModel."""
    from hybridq.cli import profiling as command

    request = command.Request(target, flash, ram, accounting, plan, tuple(set_ or ()), tuple(input_shape or ()))
    result: Profile | Diff | Suggestion | Setup
    if suggest and diff:
        raise UserError("--suggest and --diff: ask for one of them")
    if to and not suggest:
        raise UserError("--to is for --suggest")
    if suggest:
        result = command.suggestion(recipe_or_model, request, to or "binary")
    elif diff:
        result = command.side_by_side(recipe_or_model, diff, request)
    else:
        result = command.report(recipe_or_model, request)
    command.print_report(result, format_.value)
    if strict and result.not_costed:
        raise UserError(f"--strict: no rule for {', '.join(result.not_costed)}", RUN_FAILED)


def evaluate(
    run_or_model: Annotated[
        str, typer.Argument(help="A run, a model's folder, a .hqn, .keras or .h5 file, or pretrained:NAME.")
    ],
    data: Data = None,
    inputs: Inputs = None,
    labels: Labels = None,
    batch: Annotated[int, typer.Option(min=1, help="Of --inputs, so many samples at a time.")] = 256,
    split: SplitName = SplitName.test,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Probability from which on a command counts; else the recipe's."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw false accepts over false rejects as the threshold moves."),
    ] = None,
    format_: TableOrJson = OutputFormat.table,
) -> None:
    """Measure a trained network on a data set: by Keras and, if quantized, in integers as on a device.

    The data set is the one that it was trained on, --data, or the samples of --inputs.
    """
    from hybridq.cli.tables import measurement_table
    from hybridq.results.drawing import check_picture
    from hybridq.runs.load_network import find_trained, is_path
    from hybridq.runs.measurement import measured_on

    table_or_json("evaluate", format_)
    if picture:
        check_picture("--picture", picture)
    if labels and not inputs:
        raise UserError(f"--labels {labels}: what --inputs stands for, which is not given")
    if inputs and (data or picture or threshold is not None):
        raise UserError("--inputs: --data, --threshold and --picture do not go with it")
    trained = find_trained(run_or_model, None if is_path(run_or_model) else the_store())
    if inputs:
        from hybridq.runs.measure_samples import measured_samples

        result, of = measured_samples(trained, inputs, labels, batch), ""
    else:
        result, of = measured_on(trained, source_of(data), split.value, threshold), split.value
    if picture:
        _draw(result, trained.name, split.value, picture)
    if format_ is OutputFormat.json:
        print_json(result.to_json())
    else:
        measurement_table(result, trained.name, of)


def _draw(measurement: Measurement, name: str, split: str, file: Path) -> None:
    from hybridq.results.drawing import save
    from hybridq.results.pictures import decision_curves

    if not measurement.decisions or not measurement.decisions.others:
        raise UserError("--picture: this network has no clips to accept falsely: no class of silence or unknown words")
    decisions = {split: measurement.decisions.to_json(measurement.threshold)}
    save(decision_curves(decisions, title=name, synthetic=measurement.synthetic), file)


def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port; if taken, the next free one.")] = 5000) -> None:
    """Show the runs in MLflow's pages, on this machine only."""
    from hybridq.tracking import serve_ui

    raise typer.Exit(serve_ui(the_store(), port=port))
