"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import io
import logging
import os
import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridq.errors import BAD_INPUT, ENVIRONMENT, INTERRUPTED, RUN_FAILED, UserError

if TYPE_CHECKING:
    from hybridq.profiler import Profile
    from hybridq.profiler.diff import Diff
    from hybridq.profiler.suggest import Suggestion
    from hybridq.recipe import Recipe
    from hybridq.tracking import Store

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Hybrid binary/8-bit quantization of small neural networks: train, measure, compare.",
)
data_app = typer.Typer(no_args_is_help=True, help="Download, describe or check a data set.")
app.add_typer(data_app, name="data")


class Format(str, Enum):
    """How a result is printed."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


class ReportFormat(str, Enum):
    """How a memory report is printed."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    html = "html"


class EngineName(str, Enum):
    """Who makes the runs of a sweep: this machine, or a Ray cluster."""

    local = "local"
    ray = "ray"


class SplitName(str, Enum):
    """Which clips of a data set."""

    training = "training"
    validation = "validation"
    test = "test"
    all = "all"


Data = Annotated[
    str | None,
    typer.Option("--data", metavar="PATH|synthetic|v0.01|v0.02", help="The clips; else the recipe's own."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any value of the recipe, e.g. training.epochs=3."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run; take a finished one as done.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="TensorFlow's threads of a run: another number gives other last digits.")
]
Output = Annotated[Format, typer.Option("--format", help="How to print it.")]


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Hybrid binary/8-bit quantization of small neural networks: train, measure, compare."""


@app.command()
def train(
    recipe: Path, data: Data = None, set_: Settings = None, resume: Resume = False, threads: Threads = None
) -> None:
    """Train one recipe, measure it, and log it."""
    _use(threads)
    loaded = _recipe(recipe, data, set_)
    if loaded.variants:
        raise UserError(f"{recipe} has a sweep section of {len(loaded.variants)} runs: use `hybridq sweep {recipe}`")
    store = _store()
    _print_comparison(store, [_trained(store, loaded, resume)], Format.table)


@app.command()
def reproduce(
    run: Annotated[str, typer.Argument(help="Id or name of a finished run.")],
    data: Data = None,
    resume: Resume = False,
    threads: Threads = None,
    format_: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.table,
) -> None:
    """Train a logged run again, from its recipe on the same clips, and say whether the result is the same."""
    from hybridq.laboratory import THREADS
    from hybridq.reproduce import logged_recipe, reproduction

    if format_ not in (Format.table, Format.json):
        raise UserError("reproduce prints --format table or json")
    store = _store()
    first, recipe = logged_recipe(store, run, _overrides(data, None))
    _use(threads or int(first.tags.get(THREADS, 0)))
    result = reproduction(store, first, _trained(store, recipe, resume, reproduces=first.id))
    _print(result, format_)
    if not result.same:
        raise typer.Exit(RUN_FAILED)


@app.command()
def sweep(
    recipes: Annotated[list[Path], typer.Argument(metavar="FOLDER_OR_RECIPES...")],
    data: Data = None,
    set_: Settings = None,
    seeds: Annotated[str, typer.Option(help="Train each recipe once for each of these seeds, e.g. 0,1,2.")] = "",
    resume: Resume = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the runs, with sizes and times.")] = False,
    engine: Annotated[EngineName, typer.Option(help="Who makes the runs.")] = EngineName.local,
    workers: Annotated[int, typer.Option(min=1, help="Runs at once; more than one are worker processes.")] = 1,
    address: Annotated[str | None, typer.Option(help="With --engine ray: of the cluster; else one is started.")] = None,
    threads: Threads = None,
    format_: Output = Format.table,
) -> None:
    """Train several recipes, as children of one parent run, and print them side by side."""
    if address and engine is EngineName.local:
        raise UserError("--address is for --engine ray")
    _use(threads)
    from hybridq import sweeps

    overrides = _overrides(data, set_)
    plan = sweeps.plan(*sweeps.read_recipes(_recipe_files(recipes), overrides, _seeds(seeds)))
    if not plan.jobs:
        raise UserError("\n".join(list(plan.refused.values())[:2]))
    if dry_run:
        from hybridq.sweeps.estimate import forecast

        _print(forecast(plan), format_)
        return
    for reason in plan.refused.values():
        print(f"hybridq: {reason}; the other runs go on", file=sys.stderr)
    store = _store()
    left = None if resume else sweeps.unfinished_sweep(store, plan)
    if left:
        print(f"hybridq: sweep {left[:8]} over the same runs is unfinished: --resume goes on with it", file=sys.stderr)
    schedule = sweeps.Schedule(plan)
    with sweeps.Board(schedule, workers) as board:
        crew = sweeps.engine(engine.value, workers, address)
        name = _sweep_name(recipes)
        command = shlex.join(["hybridq", *sys.argv[1:]])
        run = sweeps.run_sweep(store, schedule, board.tell, name=name, engine=crew, resume=resume, command=command)
    if schedule.finished:
        _print_comparison(store, schedule.finished, format_)
    failed = plan.refused | schedule.failed
    for one, reason in failed.items():
        print(f"hybridq: {one} failed: {reason}", file=sys.stderr)
    print(f"sweep {run}: compare it again with `hybridq compare {run[:8]}`, look at it with `hybridq ui`")
    if failed:
        raise typer.Exit(RUN_FAILED)


@app.command()
def compare(
    runs: Annotated[list[str] | None, typer.Argument(help="Ids or names of runs or sweeps; else the newest.")] = None,
    filter_: Annotated[
        list[str] | None,
        typer.Option("--filter", help="Only such runs, e.g. 'flash KiB<100', recipe=hybrid; may be given again."),
    ] = None,
    sort: Annotated[str, typer.Option(help="Column to sort by, e.g. accuracy; -accuracy: the largest first.")] = "",
    each: Annotated[bool, typer.Option("--each", help="A line a run, in place of the mean over its seeds.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="What differs between two runs: recipe, data, figures.")] = False,
    format_: Output = Format.table,
) -> None:
    """Print runs side by side, beside the published figures."""
    store = _store()
    if diff:
        if len(runs or ()) != 2 or filter_ or sort or each:
            raise UserError("--diff takes two runs and no other option but --format: hybridq compare --diff RUN1 RUN2")
        from hybridq.run_diff import run_diff

        _print(run_diff(store, *(runs or ())), format_)
        return
    from hybridq.columns import filtered
    from hybridq.compare import newest, table

    chosen = filtered(store.runs(ids_or_names=runs or ()), filter_ or ())
    _print(table(chosen if runs else newest(chosen), sort=sort, each=each), format_)


@app.command()
def profile(
    recipe_or_model: Path,
    target: Annotated[str | None, typer.Option(help="The board to fit into.")] = None,
    flash: Annotated[str | None, typer.Option(help="Flash to fit into, e.g. 1MiB; in place of a board's.")] = None,
    ram: Annotated[str | None, typer.Option(help="RAM to fit into, e.g. 320KiB; in place of a board's.")] = None,
    accounting: Annotated[
        str | None, typer.Option(help="x-cube-ai (the newest version), x-cube-ai:8.1, x-cube-ai:2.2 (of Core).")
    ] = None,
    plan: Annotated[str | None, typer.Option(help="What if: int8, hybrid, or a YAML file with a plan.")] = None,
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
    from hybridq.profiler import command

    request = command.Request(target, flash, ram, accounting, plan, tuple(set_ or ()))
    result: Profile | Diff | Suggestion
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
    if format_ is ReportFormat.html:
        print(result.to_html(), end="")
    else:
        _print(result, Format(format_.value))
    if strict and result.not_costed:
        raise UserError(f"--strict: no rule for {', '.join(result.not_costed)}", RUN_FAILED)


@app.command()
def evaluate(
    run_or_model: str,
    data: Data = None,
    split: SplitName = SplitName.test,
    format_: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.table,
) -> None:
    """Measure a trained network, a run or a model folder, on the clips of a data set."""
    from hybridq import experiment
    from hybridq.console import evaluation_table

    there = Path(run_or_model).exists()
    bundle, view = experiment.find_bundle(run_or_model, None if there else _store())
    settings = bundle.recipe["data"]
    result = experiment.evaluate_bundle(bundle, _source(data) or settings["source"], split.value, settings["voices"])
    if format_ is Format.json:
        _print_json(result.to_json())
    elif format_ is Format.table:
        evaluation_table(result, view.name if view else run_or_model, split.value)
    else:
        raise UserError("evaluate prints --format table or json")


@app.command()
def export(
    run_or_artefact: Annotated[str, typer.Argument(help="A run, a model's folder, or an integer network (.hqn).")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
) -> None:
    """Write a trained network as C99 for a microcontroller, with its weights packed, and how to build it."""
    from hybridq.deploy.export import export as write

    build = write(run_or_artefact, out, None if Path(run_or_artefact).exists() else _store())
    constants = sum(layer["constants_bytes"] for layer in build["layers"])
    print(f"{out}: weights and tables of {constants:,} bytes, tensors of {build['arena_bytes']:,} bytes")
    print(f"`hybridq verify {shlex.quote(str(out))}` builds it, runs it in an emulator, and measures it")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="What `hybridq export` wrote.")],
    data: Data = None,
    clips: Annotated[int, typer.Option(min=1, help="Test clips of --data to hear on this machine.")] = 1000,
    emulated: Annotated[int | None, typer.Option(min=1, help="Of these, on the emulated board; else all.")] = None,
    compiler: Annotated[str | None, typer.Option(help="zig or gcc; else the first that is installed.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.table,
) -> None:
    """Build an exported network for the Cortex-M4, run it in an emulator, and compare it with the integer network."""
    from hybridq.deploy.verify import verify as check

    if format_ not in (Format.table, Format.json):
        raise UserError("verify prints --format table or json")
    result = check(folder, _source(data), clips, emulated, compiler)
    _print(result, format_)
    if not result.exact:
        raise typer.Exit(RUN_FAILED)


@data_app.command("download")
def data_download(
    version: Annotated[str | None, typer.Argument(help="v0.01 or v0.02")] = None, data: Data = None
) -> None:
    """Download and unpack a Speech Commands archive (v0.01 or v0.02); a broken download is continued."""
    from hybridq.audio import ARCHIVES, open_source

    chosen = version or data or ""
    if chosen not in ARCHIVES:
        raise UserError(f"'{chosen}' is not one of {', '.join(ARCHIVES)}")
    print(open_source(chosen).root)


@data_app.command("info")
def data_info(data: Data = "synthetic") -> None:
    """Print how many clips of each word are in each split."""
    from hybridq.audio import open_source
    from hybridq.console import data_table

    data_table(open_source(_source(data) or "synthetic"))


@data_app.command("check")
def data_check(data: Data = "synthetic") -> None:
    """Read every clip and print what is wrong with the data set."""
    from hybridq.audio import check, open_source

    audio = open_source(_source(data) or "synthetic")
    findings = check(audio)
    for finding in findings:
        print(finding)
    faults = sum(finding.severity == "fault" for finding in findings)
    print(f"{audio.name}: {len(audio.clips)} clips, {faults} faults, {len(findings) - faults} notes")
    if faults:
        raise typer.Exit(RUN_FAILED)


@app.command()
def ui(port: int = 5000) -> None:
    """Show the runs in MLflow's pages, on this machine only."""
    from hybridq.tracking import serve_ui

    raise typer.Exit(serve_ui(_store(), port=port))


def main() -> None:
    """Run the command line; an error is one or two plain lines and an exit status."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    _set_up()
    try:
        app(args=arguments, prog_name="hybridq")
    except UserError as error:
        _fail(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        _fail("interrupted; the same command with --resume goes on from the last whole epoch", INTERRUPTED, debug)
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}", ENVIRONMENT, debug)
    except Exception as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        _fail(f"unexpected {type(error).__name__}: {text} (--debug shows where)", RUN_FAILED, debug)


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    print(f"hybridq: {message}", file=sys.stderr)
    sys.exit(code)


def _set_up() -> None:
    """What must be said before anything is printed, and before numpy and TensorFlow are imported."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a bar or an umlaut must not end a command in a plain terminal
            stream.reconfigure(errors="replace")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # BLAS threads wait for each other in a loop: beside a training they cost more than the training itself.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    said = logging.getLogger("hybridq")
    said.handlers = [logging.StreamHandler(sys.stderr)]
    said.setLevel(logging.INFO)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _source(data: str | None) -> str | None:
    if data is None or data in ("synthetic", "v0.01", "v0.02"):
        return data
    return str(Path(data).expanduser().absolute())


def _recipe(path: Path, data: str | None, settings: list[str] | None) -> Recipe:
    from hybridq.recipe import load_recipe

    return load_recipe(path, _overrides(data, settings))


def _overrides(data: str | None, settings: list[str] | None) -> list[str]:
    import json

    source = _source(data)
    # Quoted as JSON, which YAML reads too: a folder's name may hold anything.
    return [*([f"data.source={json.dumps(source)}"] if source else []), *(settings or [])]


def _recipe_files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.glob("*.yaml"))
            if not inside:
                raise UserError(f"{path}: no recipe (*.yaml) in this folder")
            found += inside
        else:
            found.append(path)
    return found


def _sweep_name(paths: list[Path]) -> str:
    folder = paths[0] if paths[0].is_dir() else paths[0].parent
    return f"{folder.resolve().name} sweep"


def _trained(store: Store, recipe: Recipe, resume: bool, reproduces: str | None = None) -> str:
    """The id of the run of one recipe, trained now after those that it needs."""
    from hybridq import sweeps

    recipe.check_references()
    schedule = sweeps.Schedule(sweeps.plan([recipe]))
    with sweeps.Board(schedule) as board:
        sweeps.run_plan(store, schedule, board.tell, resume=resume, reproduces=reproduces)
    for entry in schedule.entries:
        if entry.reason:
            raise UserError(f"{entry.job.name} failed: {entry.reason}", entry.status)
    return schedule.finished[-1]


def _seeds(text: str) -> list[int]:
    found = text.split(",") if text else []
    for seed in found:
        if not seed.strip().isdecimal():
            raise UserError(f"--seeds: '{seed}' is not a seed; give whole numbers, as in --seeds 0,1,2", BAD_INPUT)
    return [int(seed) for seed in found]


def _use(threads: int | None) -> None:
    if threads:
        os.environ["HYBRIDQ_THREADS"] = str(threads)  # worker processes inherit it


def _store() -> Store:
    from hybridq.tracking import open_store

    return open_store()


def _print_comparison(store: Store, runs: list[str], format_: Format) -> None:
    from hybridq.compare import table

    _print(table(store.runs(ids_or_names=runs)), format_)


def _print(result: Any, format_: Format) -> None:
    if format_ is Format.json:
        _print_json(result.to_json())
    elif format_ is Format.csv:
        print(result.to_csv(), end="")
    elif format_ is Format.markdown:
        print(result.to_markdown(), end="")
    else:
        from hybridq.console import show

        show(result)


def _print_json(data: Any) -> None:
    import json

    print(json.dumps(data, indent=2, ensure_ascii=False))
