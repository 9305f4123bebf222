"""Commands that bring a network onto a microcontroller: `quantize`, `export`, `verify`."""

from __future__ import annotations

import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from hybridq.cli.options import (
    Inputs,
    Labels,
    OutputFormat,
    TableOrJson,
    print_result,
    source_of,
    table_or_json,
    the_store,
)
from hybridq.errors import RUN_FAILED


class TaskName(str, Enum):
    """What a network answers with: `data.task.Task`, for a help that need not import NumPy."""

    classify = "classify"
    regress = "regress"
    reconstruct = "reconstruct"


Calibrate = Annotated[
    str | None,
    typer.Option(metavar="X.npy", help="Some hundred samples, to see which numbers the tensors hold."),
]


def quantize(
    model: Annotated[
        str, typer.Argument(help="A .keras or .h5 file, a SavedModel of Keras 2, a run, or a model's folder.")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder to write, with model and network in it.")],
    plan: Annotated[
        str | None,
        typer.Option(help="A recipe, a YAML file, or patterns, as 'dense*: binary'; the rest gets 8 bits."),
    ] = None,
    calibrate: Calibrate = None,
    classes: Annotated[
        str, typer.Option(metavar="A,B,C", help="Names of the classes, in the order of the outputs.")
    ] = "",
    task: Annotated[TaskName | None, typer.Option(help="What it answers with; else by its last layer.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a network that is there.")] = False,
) -> None:
    """Quantize a trained model by a precision plan, without training it further.

    What a narrow format costs shows best here first: what loses too much can be trained in its format, by `train`.
    """
    from hybridq.data.task import Task
    from hybridq.runs.load_network import is_path
    from hybridq.runs.quantize_model import Request, summary
    from hybridq.runs.quantize_model import quantize as made

    names = tuple(name.strip() for name in classes.split(",")) if classes else ()
    request = Request(model, plan, calibrate, names, Task(task.value) if task else None)
    print(summary(made(request, out, None if is_path(model) else the_store(), overwrite)))


def export(
    run_or_model: Annotated[
        str,
        typer.Argument(help="A run, a model's folder, an int8 .tflite, .hqn, .keras or .h5 file, or pretrained:NAME."),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    calibrate: Calibrate = None,
    tflite: Annotated[bool, typer.Option("--tflite", help="Also write network.tflite, for LiteRT.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same names, yours or changed by you.")
    ] = False,
) -> None:
    """Write a trained network as C99 for a microcontroller, with its weights packed, and how to build it.

    A model that is not quantized gets 8 bits throughout, by the samples of --calibrate.
    """
    from hybridq.runs.export import export as write
    from hybridq.runs.load_network import is_path

    store = None if is_path(run_or_model) else the_store()
    build = write(run_or_model, out, store, tflite, overwrite, calibrate)
    constants = sum(layer["constants_bytes"] for layer in build["layers"])
    print(f"{out}: weights and tables of {constants:,} bytes, tensors of {build['arena_bytes']:,} bytes")
    print(f"`hybridq verify {shlex.quote(str(out))}` builds it, runs it in an emulator, and measures it")


def verify(
    folder: Annotated[Path, typer.Argument(help="What `hybridq export` wrote.")],
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="PATH|synthetic|v0.01|v0.02", help="Clips to hear; else made-up sounds."),
    ] = None,
    inputs: Inputs = None,
    labels: Labels = None,
    most: Annotated[
        int, typer.Option("--clips", "--samples", min=1, help="Of --data or --inputs, so many on this machine.")
    ] = 1000,
    emulated: Annotated[int | None, typer.Option(min=1, help="Of these, on the emulated board; else all.")] = None,
    compiler: Annotated[str | None, typer.Option(help="zig or gcc; else the first that is installed.")] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Run it here even if the C is not as `export` wrote it.")
    ] = False,
    format_: TableOrJson = OutputFormat.table,
) -> None:
    """Build an exported network, run it here and on an emulated Cortex-M4, and compare both with the integer network.

    Without --data or --inputs it is tried on made-up extremes.

    The C in the folder runs on this machine like any program. If it is not as `export` writes it, it is refused.
    """
    from hybridq.runs.record_image import record
    from hybridq.runs.verify import Examples
    from hybridq.runs.verify import verify as check

    table_or_json("verify", format_)
    verification = check(folder, Examples(source_of(data), inputs, labels, most, emulated), compiler, changed)
    print_result(verification, format_)
    print(record(verification), file=sys.stderr)
    if not verification.exact:
        raise typer.Exit(RUN_FAILED)
