"""Arrays from a file, mapped into memory where that can be: an array may be larger than the memory is.

A `.npy` file can be mapped, and a member of an `.npz` file that is stored and not compressed, as `numpy.savez` does.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from hybridq.errors import UserError, first_line
from hybridq.paths import open_regular, open_zip

LARGEST_PACKED = 8 * 2**30  # bytes of a compressed member, which has to be in memory
LOCAL_HEADER = struct.Struct("<26xHH")  # the lengths of a member's name and extra field, before its content

Arrays = Mapping[str, NDArray[Any]]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file, or of the .npy files in a folder, by name; UserError for what is neither."""
    if path.is_dir():
        files = sorted(path.glob("*.npy"))
        if not files:
            raise UserError(f"{path}: no .npy file in this folder")
        return {file.stem: read_npy(file) for file in files}
    if path.suffix == ".npy":
        raise UserError(f"{path}: one array alone: name the folder, with x.npy and y.npy in it, or an .npz file")
    with open_zip(path, "an .npz file") as archive:
        members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
        return {one.filename.removesuffix(".npy"): _member(path, archive, one) for one in members}


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an .npy file, mapped; UserError for what is none, is cut short, or holds Python objects."""
    try:
        with open_regular(path) as file:
            header = _Header.of(file)
            there = path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # a damaged header raises whatever its reader trips over: SyntaxError, TokenError
        raise UserError(f"{path}: not an .npy file, as numpy.save writes it ({first_line(error)})") from None
    if min(header.shape, default=0) < 0:
        raise UserError(f"{path}: not an .npy file, as numpy.save writes it (the shape {header.shape})")
    _check_no_objects(f"{path}:", header.dtype)
    if there < header.start + header.size:
        raise UserError(f"{path}: cut short: {there:,} of {header.start + header.size:,} bytes are there")
    return header.mapped(path, 0)


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """An array of an archive: mapped where it is stored as it is, else read."""
    name = f"{path}: {member.filename}"
    with archive.open(member) as content:
        header = _Header.of(content)
    _check_no_objects(name, header.dtype)
    if member.compress_type != zipfile.ZIP_STORED:
        if member.file_size > LARGEST_PACKED:
            size = f"{member.file_size:,} bytes"
            raise UserError(f"{name} is compressed and has {size}: save it with numpy.savez, so that it can be mapped")
        with archive.open(member) as content:
            array: NDArray[Any] = npy.read_array(content, allow_pickle=False)
            return array
    if min(header.shape, default=0) < 0 or header.start + header.size != member.file_size:
        raise UserError(f"{name} is damaged: its size is not that of its shape {header.shape}")
    with open(path, "rb") as raw:
        raw.seek(member.header_offset)
        lengths = LOCAL_HEADER.unpack(raw.read(LOCAL_HEADER.size))
    return header.mapped(path, member.header_offset + LOCAL_HEADER.size + sum(lengths))


@dataclass(frozen=True)
class _Header:
    """What stands before the numbers of an array. start: where these begin, in bytes from its own beginning."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]
    start: int

    @classmethod
    def of(cls, file: IO[bytes]) -> _Header:
        """The one at the beginning of a file. Raises whatever NumPy's reader trips over."""
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        return cls(*read(file), file.tell())

    @property
    def size(self) -> int:
        """Of the numbers, in bytes."""
        return self.dtype.itemsize * prod(self.shape)

    def mapped(self, path: Path, at: int) -> NDArray[Any]:
        """The array, whose header begins at that byte of a file; an empty one cannot be mapped."""
        if not self.size:
            return np.zeros(self.shape, self.dtype)
        return np.memmap(path, self.dtype, "r", at + self.start, self.shape, order="F" if self.by_columns else "C")


def _check_no_objects(name: str, dtype: np.dtype[Any]) -> None:
    if dtype.hasobject:
        raise UserError(f"{name} holds pickled Python objects, which are never loaded; save an array of numbers")
