"""Commands that bring a network onto a microcontroller: `export`, `verify`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from hybridq.cli.options import Data, OutputFormat, TableOrJson, print_result, source_of, table_or_json, the_store
from hybridq.errors import RUN_FAILED


def export(
    run_or_artefact: Annotated[str, typer.Argument(help="A run, a model's folder, a .hqn file, or pretrained:NAME.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    tflite: Annotated[bool, typer.Option("--tflite", help="Also write network.tflite, for LiteRT.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same names, yours or changed by you.")
    ] = False,
) -> None:
    """Write a trained network as C99 for a microcontroller, with its weights packed, and how to build it."""
    from hybridq.runs.export import export as write
    from hybridq.runs.load_network import is_path

    build = write(run_or_artefact, out, None if is_path(run_or_artefact) else the_store(), tflite, overwrite)
    constants = sum(layer["constants_bytes"] for layer in build["layers"])
    print(f"{out}: weights and tables of {constants:,} bytes, tensors of {build['arena_bytes']:,} bytes")
    print(f"`hybridq verify {shlex.quote(str(out))}` builds it, runs it in an emulator, and measures it")


def verify(
    folder: Annotated[Path, typer.Argument(help="What `hybridq export` wrote.")],
    data: Data = None,
    clips: Annotated[int, typer.Option(min=1, help="Test clips of --data to hear on this machine.")] = 1000,
    emulated: Annotated[int | None, typer.Option(min=1, help="Of these, on the emulated board; else all.")] = None,
    compiler: Annotated[str | None, typer.Option(help="zig or gcc; else the first that is installed.")] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Run it here even if the C is not as `export` wrote it.")
    ] = False,
    format_: TableOrJson = OutputFormat.table,
) -> None:
    """Build an exported network, run it here and on an emulated Cortex-M4, and compare both with the integer network.

    The C in the folder runs on this machine like any program. If it is not as `export` writes it, it is refused.
    """
    from hybridq.runs.record_image import record
    from hybridq.runs.verify import verify as check

    table_or_json("verify", format_)
    verification = check(folder, source_of(data), clips, emulated, compiler, changed)
    print_result(verification, format_)
    print(record(verification), file=sys.stderr)
    if not verification.exact:
        raise typer.Exit(RUN_FAILED)
