"""The checkpoint of a training: one file, from which a run goes on as if it had not stopped.

In it are the weights, the optimizer's state, the weights of the best epoch so far, and the history.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.errors import NotWritable, UserError
from hybridq.training.history import Epoch, History

if TYPE_CHECKING:
    import keras


@dataclass
class Progress:
    """How far a training has come; `best` are the weights of the best epoch, of the untrained model before any."""

    history: History
    best: list[Any]


def save(file: Path, model: keras.Model, progress: Progress) -> None:
    """Write beside the file, then rename: a killed process or a full disk leaves the old checkpoint whole.

    Raises NotWritable.
    """
    history = progress.history
    state = {"minutes": history.minutes, "epochs": [asdict(epoch) for epoch in history.epochs]}
    arrays = {f"best {i}": value for i, value in enumerate(progress.best)}
    arrays |= {f"model {i}": value for i, value in enumerate(model.get_weights())}
    arrays |= {f"optimizer {i}": variable.numpy() for i, variable in enumerate(model.optimizer.variables)}
    content = io.BytesIO()
    np.savez(content, state=np.array(json.dumps(state)), **arrays)
    temporary = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.getbuffer())
        os.replace(temporary, file)
    except OSError as error:
        raise NotWritable(file.parent, error) from error


def restore(file: Path, model: keras.Model) -> Progress:
    """Give the model and its optimizer their state back; raises UserError where the file is not their checkpoint."""
    count = len(model.weights)
    with _opened(file) as arrays:
        state = json.loads(str(arrays["state"]))
        history = History([Epoch(**row) for row in state["epochs"]], state["minutes"])
        model.set_weights([arrays[f"model {i}"] for i in range(count)])
        for i, variable in enumerate(model.optimizer.variables):
            variable.assign(arrays[f"optimizer {i}"])
        return Progress(history, [arrays[f"best {i}"] for i in range(count)])


def restore_best(file: Path, model: keras.Model) -> bool:
    """Give the model the weights of the best epoch in a checkpoint; False where there is no checkpoint.

    Raises UserError where the file is not the model's checkpoint.
    """
    if not file.exists():
        return False
    with _opened(file) as arrays:
        model.set_weights([arrays[f"best {i}"] for i in range(len(model.weights))])
    return True


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """The arrays of a checkpoint by name; raises UserError where they cannot be read, or are not those looked for."""
    try:
        with np.load(file) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"the checkpoint {file} cannot be read ({error}); train again without --resume") from error
