"""The description of a network in a model file, as plain data: no Keras, no code of the file, nothing unpacked.

A `.keras` file is a zip with a `config.json`, an `.h5` file has the same text as an attribute. HDF5 is a large C
library that a damaged file can bring down, so it runs in a process of its own, with bounds on time and memory.
"""

from __future__ import annotations

import gc
import io
import json
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from hybridq.errors import UserError
from hybridq.paths import PLAIN_MEMBERS, open_zip

CONFIG = "config.json"  # the member that describes the network
LARGEST_CONFIG = 4 * 2**20  # bytes of the description; a network of fifty layers has about 0.1 MB
MOST_CONTAINERS = 400_000  # lists and objects in it, each of which takes time to make; a layer has some forty
LONGEST_READ = 2 * 2**20  # bytes of a `.keras` file at once; its list of files, read whole, has some hundred
H5_CPU_SECONDS = 0.8  # to read an .h5 file, once the library is there; a sound one takes a hundredth of it
H5_SECONDS = 20  # with the library, on a slow disk
H5_BYTES = 400 * 2**20  # address space of the process that reads an .h5 file; the library alone has 150 MiB
LONGEST_MESSAGE = 300  # characters
KERAS_2_METADATA = "keras_metadata.pb"
METADATA = 5  # the number of the field with the description of an object
LENGTH_DELIMITED = 2  # the wire type of texts and messages
MOST_FIELDS = 100  # to read of a message
SUFFIXES = (".keras", ".h5", ".hdf5")
HDF5 = b"\x89HDF\r\n\x1a\n"  # how such a file begins

# The timer's signal ends the process, whatever its C code is doing.
BOUNDED = """
import resource, signal, sys
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
import h5py
signal.setitimer(signal.ITIMER_PROF, {seconds})
"""
READ_H5 = """
with h5py.File(sys.argv[1], "r") as file:
    text = file.attrs["model_config"]
text = text if isinstance(text, bytes) else str(text).encode()
sys.stdout.buffer.write(text[:{largest}])
"""


def short(error: Exception | str) -> str:
    """The message of an error, cut to a line that a person reads: it may quote what the file says."""
    text = str(error)
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "..."


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, not a file; raises UserError for what is neither, or out of reach."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # no permission, a circle of links, a name that is too long
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would wait for ever
        raise UserError(f"cannot read {path}: not a file")
    return stat.S_ISDIR(mode)


def saved_config(path: Path) -> Any:
    """What the file says of the network: {"class_name": ..., "config": ...}. Raises UserError for what is no model."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: not a model file: it ends in none of {', '.join(SUFFIXES)}, .tflite")
    return _parsed(path, _h5_text(path) if is_h5(path) else _keras_text(path))


def is_h5(path: Path) -> bool:
    """Whether a file is HDF5: by its name and, of a `.keras` file, by its first bytes, for Keras 2 wrote both so.

    Raises UserError for a file that cannot be read.
    """
    if path.suffix.lower() != ".keras":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(HDF5)) == HDF5
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None


def folder_config(path: Path) -> Any:
    """What a SavedModel folder of Keras 2 says of the network, in a file beside its graph; None for other folders.

    None also where the model is a class of its own: that file then says nothing of its wiring.
    """
    metadata = path / KERAS_2_METADATA
    if not metadata.is_file():
        return None
    saved = _parsed(metadata, _root_metadata(metadata), object_hook=_without_tuples)
    config = saved.get("config") if isinstance(saved, dict) else None
    return saved if isinstance(config, dict) and "layers" in config else None


def layers_config(path: Path) -> Any:
    """What a model file, or a SavedModel folder of Keras 2, says of its layers. Raises UserError for others."""
    if not is_folder(path):
        return saved_config(path)
    saved = folder_config(path)
    if saved is None:
        raise UserError(
            f"{path}: a folder without Keras layers (those of Keras 2 are in {KERAS_2_METADATA}): save the model as "
            ".keras, or have TensorFlow convert it to .tflite"
        )
    return saved


def _parsed(path: Path, text: bytes, **options: Any) -> Any:
    if len(text) > LARGEST_CONFIG:
        raise UserError(f"{path}: its description has more than {LARGEST_CONFIG:,} bytes; that is no network")
    if text.count(b"{") + text.count(b"[") > MOST_CONTAINERS:
        raise UserError(f"{path}: its description has more than {MOST_CONTAINERS:,} parts; that is no network")
    collecting = gc.isenabled()
    gc.disable()  # it would walk over all the empty lists again and again while they are being made
    try:
        return json.loads(text, **options)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its description is damaged ({error})") from None
    finally:
        if collecting:
            gc.enable()


class _ShortReads(io.FileIO):
    """A file that refuses a long read: an archive's list of millions of files would fill memory and time."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LONGEST_READ:
            raise zipfile.BadZipFile("its list of files is too long")
        return super().read(size) or b""


def _keras_text(path: Path) -> bytes:
    with open_zip(path, "a .keras file", _ShortReads) as archive:
        if CONFIG not in archive.namelist():
            raise UserError(f"{path}: not a Keras model: it has no {CONFIG}")
        if archive.getinfo(CONFIG).compress_type not in PLAIN_MEMBERS:
            raise UserError(f"{path}: not a .keras file: its {CONFIG} is packed as Keras never does")
        with archive.open(CONFIG) as member:
            return member.read(LARGEST_CONFIG + 1)


def run_bounded(program: str, path: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a program with h5py on a file, in a process of its own with little memory and time. Raises UserError."""
    whole = BOUNDED.format(memory=H5_BYTES, seconds=H5_CPU_SECONDS) + program
    # -I: no module beside the model is imported in place of the library; -B: nothing is written
    command = [sys.executable, "-I", "-B", "-c", whole, str(path)]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=H5_SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(f"{path}: reading it takes more than {H5_SECONDS} seconds") from None


def _h5_text(path: Path) -> bytes:
    done = run_bounded(READ_H5.format(largest=LARGEST_CONFIG + 1), path)
    if done.returncode == 0:
        return done.stdout
    if done.returncode == -signal.SIGPROF:
        raise UserError(f"{path}: damaged: reading it takes too long")
    complaint = done.stderr.decode(errors="replace").strip().splitlines()
    reason = complaint[-1] if complaint else "the HDF5 library crashed"
    if "model_config" in reason:
        raise UserError(f"{path}: holds weights alone, no network: save the whole model, not its weights")
    raise UserError(f"{path}: damaged, or not an .h5 model ({ascii(reason)[1:-1][:200]})")


def _root_metadata(path: Path) -> bytes:
    """The description of the model itself, the first of a list of objects: Protocol Buffers, saved_metadata.proto."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_CONFIG + 1_000)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    (_, node), *_ = _fields(path, data) or [(0, b"")]
    fields = dict(_fields(path, node))
    return fields.get(METADATA, b"")


def _fields(path: Path, data: bytes) -> list[tuple[int, bytes]]:
    """The texts and messages of a message, each with its number; other fields are passed over."""
    texts: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data) and len(texts) < MOST_FIELDS:
        key, at = _varint(path, data, at)
        size, at = _varint(path, data, at)  # or the value of a whole number
        if key & 7 == LENGTH_DELIMITED:
            texts.append((key >> 3, data[at : at + size]))
            at += size
        elif key & 7:
            raise UserError(f"{path}: damaged")
    return texts


def _varint(path: Path, data: bytes, at: int) -> tuple[int, int]:
    """A whole number, seven bits a byte, the lowest first; and where it ends."""
    value = 0
    for i, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise UserError(f"{path}: damaged")


def _without_tuples(saved: dict[str, Any]) -> Any:
    """{"class_name": "__tuple__", "items": [None, 9, 4]} as its list."""
    return saved.get("items") if saved.get("class_name") == "__tuple__" else saved
