"""The description of a network in a model file, as plain data: no Keras, no code of the file, nothing unpacked.

A `.keras` file is a zip with a `config.json`, an `.h5` file has the same text as an attribute. HDF5 is a large C
library that a damaged file can bring down, so it runs in a process of its own, with bounds on time and memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from hybridq.errors import UserError

LARGEST_CONFIG = 16 * 2**20  # bytes of the description; a network of fifty layers has about 0.1 MB
H5_SECONDS = 20
H5_BYTES = 2**30  # address space of the process that reads an .h5 file

READ_H5 = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
import h5py
with h5py.File(sys.argv[1], "r") as file:
    text = file.attrs["model_config"]
text = text if isinstance(text, bytes) else str(text).encode()
sys.stdout.buffer.write(text[:{largest}])
"""


def saved_config(path: Path) -> Any:
    """What the file says of the network: {"class_name": ..., "config": ...}. Raises UserError for what is no model."""
    if not path.exists():
        raise UserError(f"{path}: no such file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: not a model file: it ends in none of {', '.join(READERS)}, .tflite")
    text = reader(path)
    if len(text) > LARGEST_CONFIG:
        raise UserError(f"{path}: its description has more than {LARGEST_CONFIG:,} bytes; that is no network")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its description is damaged ({error})") from None


def _keras_text(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("config.json") as member:
            return member.read(LARGEST_CONFIG + 1)
    except KeyError:
        raise UserError(f"{path}: not a Keras model: it has no config.json") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # a damaged archive raises whatever its reader trips over: struct.error, zlib.error
        raise UserError(f"{path}: damaged, or not a .keras file ({error})") from None


def _h5_text(path: Path) -> bytes:
    program = READ_H5.format(memory=H5_BYTES, largest=LARGEST_CONFIG + 1)
    try:
        done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, timeout=H5_SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(f"{path}: damaged: reading it takes more than {H5_SECONDS} seconds") from None
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode(errors="replace").strip().splitlines()
    reason = said[-1] if said else "the HDF5 library crashed"
    if "model_config" in reason:
        raise UserError(f"{path}: holds weights alone, no network: save the whole model, not its weights")
    raise UserError(f"{path}: damaged, or not an .h5 model ({reason})")


READERS = {".keras": _keras_text, ".h5": _h5_text, ".hdf5": _h5_text}
