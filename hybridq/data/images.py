"""Pictures in a folder for each class, in a folder or a zip, as arrays of 8 bits.

::

    cats/1.png dogs/2.png                     # splits are drawn
    train/cats/1.png test/cats/2.png          # or given; in place of a folder of a split its zip may lie there

A file that is no picture is left out, and named. Pictures may come from anywhere: what is read of one, and how large it
may become, is bounded.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.cache import cached, key_of
from hybridq.data.settings import ImagesData
from hybridq.errors import UserError, plain
from hybridq.paths import PLAIN_MEMBERS, open_regular, open_zip

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
KINDS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".webp")
LARGEST_FILE = 64 * 2**20  # bytes of one picture, unpacked
LARGEST_SIDE = 20_000  # pixels
LARGEST_PICTURE = 2**26  # pixels
MOST_PICTURES = 1_000_000
MOST_NAMED = 3  # of those left out
log = logging.getLogger("hybridq")


@dataclass(frozen=True)
class Picture:
    """A file with the split and the class that its folders name; the split is "" where they name none."""

    split: str
    label: str
    path: str  # for a person
    read: Callable[[], bytes]


def read_images(path: Path, settings: ImagesData, cache: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """Arrays as in an .npz file, x (pictures, rows, columns, channels) uint8, y, names; and a digest of the files.

    The decoded pictures are kept in the cache, mapped. Raises UserError where there is no picture, where sizes differ
    and the settings name none, or where they do not go together with the folders.
    """
    pictures = sorted(_found(path), key=lambda one: (one.split, one.label, one.path))
    if not pictures:
        raise UserError(f"{path}: no pictures in class folders here ({', '.join(KINDS)})")
    content = hashlib.sha256()
    for one in pictures:
        content.update(repr((one.split, one.label, one.path)).encode() + hashlib.sha256(one.read()).digest())
    digest = content.hexdigest()
    arrays: dict[str, NDArray[Any]] = {}
    for split in sorted({one.split for one in pictures}):
        inside = [one for one in pictures if one.split == split]
        key = key_of("pictures", digest, split, settings.size, settings.colour)
        decode = _Decoding(path, inside, settings)
        suffix = f"_{split}" if split else ""
        arrays[f"x{suffix}"] = cached(cache / "pictures" / f"{key}.npy", partial(decode.part, 0))
        kept = cached(cache / "pictures" / f"{key}-kept.npy", partial(decode.part, 1))
        arrays[f"y{suffix}"] = np.array([inside[place].label for place in kept])
    return arrays, digest


# ------------------------------------------------------------------------------------------------ finding


def _found(path: Path) -> Iterator[Picture]:
    """The pictures of a folder or a zip; UserError for what is neither, or holds too many."""
    if path.is_dir():
        zips = {SPLIT_NAMES[one.stem.lower()]: one for one in path.glob("*.zip") if one.stem.lower() in SPLIT_NAMES}
        if zips:
            for split, file in zips.items():
                for one in _placed(file, _in_zip(file)):
                    yield Picture(split, one.label, one.path, one.read)
            return
        yield from _placed(path, _in_folder(path))
    elif path.exists():
        yield from _placed(path, _in_zip(path))
    else:
        raise UserError(f"{path}: no such folder or file")


Files = Iterator[tuple[tuple[str, ...], Callable[[], bytes]]]  # the parts of a path below the top, and how to read it


def _in_folder(path: Path) -> Files:
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            file = Path(folder) / name
            yield file.relative_to(path).parts, partial(_read_file, file)


def _read_file(file: Path) -> bytes:
    try:
        with open_regular(file) as opened:
            return opened.read(LARGEST_FILE + 1)
    except OSError:
        return b""


def _in_zip(path: Path) -> Files:
    with open_zip(path, "a zip") as archive:
        members = [one for one in archive.infolist() if not one.is_dir()]
    opened = zipfile.ZipFile(path)
    for member in members:
        yield PurePosixPath(member.filename).parts, partial(_read_member, opened, member)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & 1 or member.compress_type not in PLAIN_MEMBERS:
        return b""  # encrypted, or packed in a way that inflates without a bound
    try:
        with archive.open(member) as opened:
            return opened.read(LARGEST_FILE + 1)
    except Exception:  # damaged
        return b""


def _placed(top: Path, files: Files) -> list[Picture]:
    """The files that may be pictures, with what their folders say."""
    seen = [(parts, read) for parts, read in files if not any(one.startswith((".", "__")) for one in parts)]
    named = [(parts, read) for parts, read in seen if parts[-1].lower().endswith(KINDS)]
    if named and len(named) < len(seen):
        first = next("/".join(parts) for parts, _ in seen if not parts[-1].lower().endswith(KINDS))
        others = f"{len(seen) - len(named)} file{'s are' if len(seen) - len(named) > 1 else ' is'}"
        log.warning("%s: %s no picture by the name (%s)", top, others, plain(first))
    if len(named) > MOST_PICTURES:
        raise UserError(f"{top}: more than {MOST_PICTURES:,} pictures")
    firsts = {parts[0].lower() for parts, _ in named}
    deep = all(len(parts) > 2 for parts, _ in named)
    if len(firsts) == 1 and deep and not firsts <= SPLIT_NAMES.keys():  # a zip of one folder that holds all
        named = [(parts[1:], read) for parts, read in named]
        firsts = {parts[0].lower() for parts, _ in named}
    given = firsts <= SPLIT_NAMES.keys()
    pictures = []
    for parts, read in named:
        split = SPLIT_NAMES[parts[0].lower()] if given else ""
        folders = parts[1:-1] if given else parts[:-1]
        if not folders:
            raise UserError(f"{top}: {'/'.join(parts)} lies in no class folder")
        pictures.append(Picture(split, folders[0], "/".join(parts), read))
    return pictures


# ----------------------------------------------------------------------------------------------- decoding


@dataclass(frozen=True)
class _Decoding:
    """Files to be decoded, once."""

    top: Path
    pictures: Sequence[Picture]
    settings: ImagesData

    def part(self, number: int) -> NDArray[Any]:
        """One of the two arrays of the result."""
        return self.result[number]

    @cached_property
    def result(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """All that are pictures, (pictures, rows, columns, channels), and the places of these files (pictures,)."""
        rows: dict[int, NDArray[np.uint8]] = {}
        first: NDArray[np.uint8] | None = None
        for place, one in enumerate(self.pictures):
            array = _picture(one.read(), self.settings)
            if array is None:
                continue
            first = array if first is None else first
            if array.shape != first.shape:
                sizes = " and ".join(f"{shape[0]} x {shape[1]}" for shape in (first.shape, array.shape))
                raise UserError(
                    f"{self.top}: pictures of {sizes} pixels ({one.path}): say data.size, to which they are scaled"
                )
            rows[place] = array
        left_out = [one.path for place, one in enumerate(self.pictures) if place not in rows]
        if not rows:
            raise UserError(f"{self.top}: no file there is a picture ({', '.join(left_out[:MOST_NAMED])})")
        if left_out:
            more = f" and {len(left_out) - MOST_NAMED:,} more" if len(left_out) > MOST_NAMED else ""
            log.warning("%s: left out, no pictures: %s%s", self.top, ", ".join(left_out[:MOST_NAMED]), more)
        return np.stack(list(rows.values())), np.array(list(rows))


def _picture(content: bytes, settings: ImagesData) -> NDArray[np.uint8] | None:
    """A picture (rows, columns, channels); None for what is none, or too large."""
    from PIL import Image

    if not 0 < len(content) <= LARGEST_FILE:
        return None
    try:
        with Image.open(io.BytesIO(content)) as picture:
            width, height = picture.size
            if max(width, height) > LARGEST_SIDE or width * height > LARGEST_PICTURE:
                return None
            made = picture.convert("RGB" if settings.colour == "rgb" else "L")
            if settings.size and settings.size != (height, width):
                made = made.resize(settings.size[::-1], Image.Resampling.BILINEAR)
            array = np.asarray(made, np.uint8)
    except Exception:  # whatever a decoder trips over
        return None
    return array.reshape(*array.shape[:2], -1)
