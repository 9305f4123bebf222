"""The command line: parse, call, print. Everything heavy is imported by the command that needs it.

data.py        `data download`, `data info`, `data check`
training.py    `train`, `reproduce`, `sweep`
search.py      `search`
results.py     `compare`, `profile`, `evaluate`, `ui`; profiling.py: what `profile` asks for
streaming.py   `listen`, `stream-eval`
deployment.py  `quantize`, `export`, `verify`
options.py     what several commands share; console.py: the terminal, tables.py: measurements and data as tables
"""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from inspect import signature
from typing import Annotated

import typer

from hybridq.backend.startup import spare_imports
from hybridq.cli import data, deployment, results, search, streaming, training
from hybridq.errors import ENVIRONMENT, INTERRUPTED, RUN_FAILED, UserError, first_line, plain, plain_os_error

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Hybrid binary/8-bit quantization of small neural networks: train, measure, compare.",
)
app.add_typer(data.app, name="data")
COMMANDS = (
    training.train,
    training.reproduce,
    training.sweep,
    search.search,
    results.compare,
    results.profile,
    results.evaluate,
    streaming.listen,
    streaming.stream_eval,
    deployment.quantize,
    deployment.export,
    deployment.verify,
    results.ui,
)
for command in COMMANDS:
    app.command()(command)


def _say_version(asked: bool) -> None:
    if asked:
        from hybridq import __version__

        print(f"hybridq {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Hybrid binary/8-bit quantization of small neural networks: train, measure, compare."""


def main() -> None:
    """Run the command line; an error is one or two plain lines and an exit status."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    _set_up()
    try:
        app(args=arguments, prog_name="hybridq")
    except UserError as error:
        _fail(str(error), error.exit_code, debug)
    except (KeyboardInterrupt, SystemExit) as error:  # of an interrupt Typer makes an exit
        if isinstance(error, SystemExit) and error.code != INTERRUPTED:
            raise
        goes_on = any("resume" in signature(one).parameters for one in COMMANDS if [one.__name__] == arguments[:1])
        hint = "; the same command with --resume goes on from the last whole epoch" if goes_on else ""
        _fail(f"interrupted{hint}", INTERRUPTED, debug)
    except OSError as error:
        _fail(plain_os_error(error), ENVIRONMENT, debug)
    except MemoryError as error:
        _fail(f"not enough memory{f' ({plain(str(error))})' if str(error) else ''}", ENVIRONMENT, debug)
    except Exception as error:
        _fail(f"unexpected {type(error).__name__}: {plain(first_line(error))} (--debug shows where)", RUN_FAILED, debug)


class _PlainLine(logging.Formatter):
    """A record as one line that is safe for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(record.getMessage())


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    with suppress(OSError):  # its terminal may be closed
        print(f"hybridq: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


def _set_up() -> None:
    """Settings that must be made before anything is printed, and before numpy and TensorFlow are imported."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a bar or an umlaut must not end a command in a plain terminal
            stream.reconfigure(errors="replace")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # BLAS threads wait for each other in a loop: beside a training they cost more than the training itself.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    spare_imports()
    # Where the root has no handler, a library that warns gives it one, which would print our lines a second time.
    logging.getLogger().addHandler(logging.NullHandler())
    logger = logging.getLogger("hybridq")
    logger.handlers = [logging.StreamHandler(sys.stderr)]
    logger.handlers[0].setFormatter(_PlainLine())
    logger.setLevel(logging.INFO)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
