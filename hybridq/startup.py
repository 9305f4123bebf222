"""What a command spends before its work begins: the imports of large packages, made cheaper."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def configured_backend() -> str:
    """What Keras will compute with: `KERAS_BACKEND`, else what its own file `keras.json` says, else tensorflow."""
    if asked := os.environ.get("KERAS_BACKEND"):
        return asked
    try:
        home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
        return str(json.loads((home / "keras.json").read_text()).get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError, RuntimeError):
        return "tensorflow"


def spare_imports() -> None:
    """In a process of this package's own: what TensorFlow and Keras import only where it is installed, is not.

    They do so for wrappers and converters that nobody here calls, in a quarter of the time that the import takes.
    """
    for name in {"sklearn", "jax"} - {configured_backend()}:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # Python's way to say that there is none


@contextmanager
def large_import() -> Iterator[None]:
    """Around the import of a large package, whose hundreds of thousands of objects stay: no search for garbage in them.

    The search takes a sixth of the import, and later each one a second.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()
