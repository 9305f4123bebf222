"""What several commands share: options, and what is made of them."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridq.errors import UserError

if TYPE_CHECKING:
    from hybridq.tracking import Store


class OutputFormat(str, Enum):
    """How a result is printed."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


Data = Annotated[
    str | None,
    typer.Option("--data", metavar="PATH|synthetic|v0.01|v0.02", help="Where the data is; else as the recipe says."),
]
Inputs = Annotated[
    str | None,
    typer.Option("--inputs", metavar="X.npy", help="Samples as the model reads them; or X.npz, X.npz:NAME."),
]
Labels = Annotated[
    str | None,
    typer.Option("--labels", metavar="Y.npy", help="Their classes, or the numbers to answer with."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any value of the recipe, e.g. training.epochs=3."),
]
Output = Annotated[OutputFormat, typer.Option("--format", help="How to print it.")]
TableOrJson = Annotated[OutputFormat, typer.Option("--format", help="table or json.")]


def source_of(data: str | None) -> str | None:
    """The source that --data names, a folder by its whole path. Raises UserError where a folder's is not UTF-8."""
    from hybridq.speech.audio.contents import folder_of
    from hybridq.speech.settings import SOURCES

    return data if data is None or data in SOURCES else str(folder_of(data))


def overrides_of(data: str | None, settings: list[str] | None) -> list[str]:
    """--data and --set as settings of a recipe."""
    source = source_of(data)
    # Quoted as JSON, which YAML reads too: a folder's name may hold anything.
    return [*([f"data.source={json.dumps(source)}"] if source else []), *(settings or [])]


def table_or_json(command: str, format_: OutputFormat) -> None:
    """Raise UserError for a format that the command does not print."""
    if format_ not in (OutputFormat.table, OutputFormat.json):
        raise UserError(f"{command} prints --format table or json")


def the_store(make: bool = False) -> Store:
    """The tracking store of all commands; a command that only reads makes none. Raises UserError."""
    from hybridq.tracking import open_store

    return open_store(make=make)


def print_result(result: Any, format_: OutputFormat) -> None:
    """Print what has all the forms of `OutputFormat`, or at least the one asked for."""
    if format_ is OutputFormat.json:
        print_json(result.to_json())
    elif format_ is OutputFormat.csv:
        print(result.to_csv(), end="")
    elif format_ is OutputFormat.markdown:
        print(result.to_markdown(), end="")
    else:
        from hybridq.cli.console import show

        show(result)


def print_json(data: Any) -> None:
    """Print plain data, indented."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def print_comparison(store: Store, runs: list[str], format_: OutputFormat) -> None:
    """Print these runs side by side."""
    from hybridq.results.compare import table

    print_result(table(store.runs(ids_or_names=runs)), format_)
