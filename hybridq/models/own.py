"""What a recipe says of a network of the user's own: a Keras file, or a Python function that builds it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field

from hybridq.errors import UserError
from hybridq.graph.keras.file import KERAS_2_METADATA, is_folder, layers_config
from hybridq.models.base import NetworkConfig
from hybridq.settings.python_function import file_digest


class KerasFile(NetworkConfig):
    """A float network from a file, with its weights."""

    name: Literal["keras"] = Field(default="keras", description="keras; need not be given")
    keras: str = Field(
        min_length=1,
        description="a .keras or .h5 file, or a SavedModel folder of Keras 2, relative to this file; must be given",
    )

    @property
    def has_weights(self) -> bool:
        """They are in the file."""
        return True

    def content(self) -> dict[str, str]:
        """The digest of the file, in the place of its path."""
        return {"keras": _digest(Path(self.keras))}


class PythonNetwork(NetworkConfig):
    """A float network that a Python function builds. Whatever reads a recipe with it runs the file."""

    name: Literal["python"] = Field(default="python", description="python; need not be given")
    python: str = Field(
        min_length=1,
        pattern=r".+\.py:[^:]+$",
        description="FILE.py:function, relative to this file, which returns a Keras model; it may ask for `shape`, that"
        " of an input, and `outputs`, how many numbers to answer with; must be given",
    )

    def content(self) -> dict[str, str]:
        """The digest of the file, in the place of its path."""
        return {"python": file_digest(self.python)}


OWN_NETWORKS: dict[str, type[NetworkConfig]] = {"keras": KerasFile, "python": PythonNetwork}


def _digest(path: Path) -> str:
    """Of a file, or of what a SavedModel folder says of its layers and their arrays."""
    files = [path]
    if is_folder(path):
        layers_config(path)  # says what to do where there are none
        files = [path / KERAS_2_METADATA, *sorted((path / "variables").glob("*"))]
    whole = hashlib.sha256()
    try:
        for file in files:
            whole.update(file.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    return whole.hexdigest()
