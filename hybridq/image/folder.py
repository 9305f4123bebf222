"""A folder that an export writes into, in which there may be files of others: those stay as they are.

Of each file that it writes the list keeps the SHA-256, in the last file, which says all else of the export too. What
the list names and is unchanged may be written anew or, where an export has it no longer, removed; nothing else is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hybridq.errors import NotWritable, UserError

FILES = "files"  # entry of the last file: the SHA-256 (hex) of each other one, by its path in the folder
SHA256 = re.compile("[0-9a-f]{64}")
NAMED = 3  # files in a message


def write(folder: Path, files: Mapping[str, bytes], last: str, about: Mapping[str, Any], overwrite: bool) -> None:
    """Write files by their paths in a folder, then `last`: what it is `about`, and the list of the files.

    overwrite: also over files that were changed since, or that are another's.

    Raises UserError where there are such files, before anything is written; NotWritable.
    """
    about = {**about, FILES: {name: _digest(content) for name, content in files.items()}}
    files = {**files, last: (json.dumps(about, indent=1) + "\n").encode()}
    listed = _listed(folder / last)
    try:
        foreign = [
            name
            for name, content in files.items()
            if not (name == last and listed)
            and _digest_of(folder / name) not in (None, _digest(content), listed.get(name))
        ]
        if foreign and not overwrite:
            raise UserError(
                f"{folder}: {named(foreign)} there already, not as an export wrote it; name another folder, or pass "
                "--overwrite"
            )
        for name, content in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.is_symlink():
                file.unlink()  # and not through it
            file.write_bytes(content)
        for name in listed.keys() - files.keys():
            if _digest_of(folder / name) == listed[name]:
                (folder / name).unlink()
                with suppress(OSError):  # another's files are in it
                    (folder / name).parent.rmdir()
    except OSError as error:
        raise NotWritable(error.filename or folder, error) from error


def strangers(folder: Path, files: Mapping[str, bytes], inside: Iterable[str]) -> list[str]:
    """The paths of `files` that are not there with this content, and of all others in the folders `inside` of it."""
    changed = [name for name, content in files.items() if _digest_of(folder / name) != _digest(content)]
    there = [path for name in inside for path in sorted((folder / name).rglob("*")) if not path.is_dir()]
    return changed + [name for path in there if (name := path.relative_to(folder).as_posix()) not in files]


def named(names: Sequence[str]) -> str:
    """The beginning of a sentence about files: "a.c is", "a.c, b.c are", "a.c, b.c, c.c and 4 more are"."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} {'is' if len(names) == 1 else 'are'}"


def _listed(last: Path) -> dict[str, str]:
    """The list of an export before; empty where there is none, or one that no export wrote."""
    try:
        listed = json.loads(last.read_bytes())[FILES]
        ours = all(_stays_inside(name) and SHA256.fullmatch(sha) for name, sha in listed.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return listed if ours else {}


def _stays_inside(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _digest_of(file: Path) -> str | None:
    """The digest of a file's content, "" for what is no file; None where there is nothing."""
    if not file.is_symlink() and not file.exists():
        return None
    return _digest(file.read_bytes()) if file.is_file() and not file.is_symlink() else ""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
