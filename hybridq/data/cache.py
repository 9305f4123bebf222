"""Arrays kept in files, under a key made of everything that decides their content, with a checksum of it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import NotWritable
from hybridq.paths import locked

log = logging.getLogger("hybridq")


def key_of(*parts: Any) -> str:
    """The name of a file whose content these parts decide: 24 hexadecimal digits. The parts are plain data."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def cached(path: Path, make: Callable[[], NDArray[Any]]) -> Any:
    """The array in the file, memory-mapped; made, and written for the next time, where it is missing or broken.

    Of two processes that want the same one, one makes it and the other waits. Raises NotWritable where the file cannot
    be written.
    """
    array = _whole(path)
    if array is not None:
        return array
    with locked(path.with_suffix(".lock")):
        array = _whole(path)
        if array is not None:
            return array
        if path.exists():
            log.warning("the cache file %s is damaged and will be made again", path)
        _keep(path, make())
    return np.load(path, mmap_mode="r")


def _whole(path: Path) -> Any:
    """The array in the file, memory-mapped, if its sum is right; else None."""
    try:
        return np.load(path, mmap_mode="r") if _checksum(path) == path.with_suffix(".crc").read_text() else None
    except (OSError, ValueError):
        return None


def _keep(path: Path, array: NDArray[Any]) -> None:
    new = path.with_suffix(".new")  # of a process that was killed there may be one: it is written over
    try:
        with open(new, "wb") as file:
            np.save(file, array)
        # The sum goes first: a file without its own sum is not trusted, and is made again.
        path.with_suffix(".crc").write_text(_checksum(new))
        os.replace(new, path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise NotWritable(path.parent, error) from error


def _checksum(path: Path) -> str:
    total = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return f"{total:08x} {path.stat().st_size}"
