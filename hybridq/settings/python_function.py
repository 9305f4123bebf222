"""A function of a Python file of the user's, called. The file is run as a program of one's own is."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from hybridq.backend.tensorflow import load_tensorflow
from hybridq.errors import UserError, did_you_mean, first_line
from hybridq.paths import open_regular

LARGEST = 10 * 2**20  # bytes of a file


def split_name(text: str) -> tuple[Path, str]:
    """The file and the function of "FILE.py:function"."""
    file, _, name = text.rpartition(":")
    return Path(file), name


def file_digest(text: str) -> str:
    """SHA-256 (hex) of the file's text and the name of the function, of "FILE.py:function"; UserError as `call`."""
    file, name = split_name(text)
    return hashlib.sha256(_content(file) + f"\0{name}".encode()).hexdigest()


def call(text: str, offered: Callable[[Callable[..., Any]], dict[str, Any]] = lambda _: {}) -> Any:
    """What the function of "FILE.py:function" returns; `offered` gives its arguments by name.

    What it prints goes to standard error. Raises UserError, with the line of the file, where the file is not there or
    no Python, has no such function, or raises.
    """
    file, name = split_name(text)
    code = _content(file)
    module = ModuleType(f"hybridq_recipe_{hashlib.sha256(code).hexdigest()[:16]}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    if b"keras" in code or b"tensorflow" in code:
        load_tensorflow()  # without the lines that it would write if the file were the first to import it
    try:
        with redirect_stdout(sys.stderr):
            exec(compile(code, str(file), "exec"), module.__dict__)  # that is what a recipe asks for
            function = getattr(module, name, None)
            if not callable(function):
                known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
                raise UserError(f"{file}: no function '{name}'{did_you_mean(name, known)}")
            return function(**offered(function))
    except (UserError, MemoryError):
        raise
    except SyntaxError as error:
        raise UserError(f"{file}:{error.lineno}: no Python: {error.msg}") from None
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        at = f"{file}:{lines[-1]}" if lines else str(file)
        reason = first_line(error) if str(error).strip() else "no reason given"
        raise UserError(f"{at}: {name} raised {type(error).__name__}: {reason}") from error


def _content(file: Path) -> bytes:
    try:
        with open_regular(file) as opened:
            content = opened.read(LARGEST + 1)
    except FileNotFoundError:
        raise UserError(f"{file}: no such file") from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from None
    if len(content) > LARGEST:
        raise UserError(f"{file}: more than {LARGEST:,} bytes; that is no program")
    return content
