"""How Python starts: the imports of large packages, made cheaper, and processes that import what this one would."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SPARED: set[str] = set()


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
    """In a process of this package's own: `large_import` leaves out what nobody here calls."""
    _SPARED.update({"sklearn", "jax"} - {configured_backend()})


def sealed() -> dict[str, str]:
    """The environment for a Python process that this one starts: it imports nothing of the current folder.

    That folder may be a stranger's, with a `random.py` in it. What this process can import the other can too, from the
    same places, but from the current folder only where hybridq itself or the user's PYTHONPATH is there.
    """
    here, home = os.getcwd(), str(Path(__file__).resolve().parents[2])
    named = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    places = [path for path in sys.path if path and (os.path.abspath(path) != here or here in (home, *named))]
    # As -P does for one process; this one reaches those that it starts in turn.
    return os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(places)}


@contextmanager
def large_import(package: str) -> Iterator[None]:
    """Around the import of a large package: no search for garbage, and what `spare_imports` names seems not installed.

    TensorFlow, Keras and QKeras import scikit-learn and JAX for wrappers and converters, in a sixth of the time that
    the whole takes. The search goes through hundreds of thousands of objects that stay, in a quarter of that time, and
    in up to a second each time later (docs/results/speed.md). A package that is there already takes nothing.
    """
    if package in sys.modules:
        yield
        return
    hidden = [name for name in _SPARED if name not in sys.modules]
    collects = gc.isenabled()
    gc.disable()
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: Python's word that there is none
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
        if collects:
            gc.freeze()
            gc.enable()
