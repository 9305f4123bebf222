"""What lies in a data folder: recordings, lists of splits, and what is left out, with the reason.

Nothing that lies there ends the reading of the rest, and nothing that looks like a clip is passed over without a word.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hybridq.errors import UserError, plain
from hybridq.speech.audio.reading import AUDIO_SUFFIXES

LISTS = {"test": "testing_list.txt", "validation": "validation_list.txt"}
NOISE_FOLDER = "_background_noise_"
OTHER_SOUNDS = frozenset(
    {".3gp", ".aac", ".aif", ".aiff", ".amr", ".au", ".caf", ".m4a", ".mp3", ".mp4", ".oga", ".opus", ".webm", ".wma"}
)
NOT_HERE = "a link to what is not here; where git-annex or DVC keeps the data, they fetch it"

Files = dict[str, os.stat_result]  # by path relative to the root, parts joined by "/"


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that looks like clips, or a list of them, and cannot be taken as that.

    `path` is relative to the root, and may hold what is not UTF-8; `why` says in words what is wrong with it.
    """

    path: str
    why: str


@dataclass
class Contents:
    """A folder in Speech Commands layout, as it lies there.

    `words`, `noise` and `official` are recordings: of word folders, of background noise, of the official test set.
    `lists` has the entries of each split's list by their path without suffix; a list that is not there is not in it.
    `empty` are word folders without a recording, `others` what is in a word folder and no recording by its name (a
    folder's ends with "/"). `left_out` are faults of single files and of names; `unreadable` those of folders and lists
    whose lack makes another data set.
    """

    words: Files = field(default_factory=dict)
    noise: Files = field(default_factory=dict)
    official: Files = field(default_factory=dict)
    lists: dict[str, dict[str, str]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    unreadable: list[LeftOut] = field(default_factory=list)


def contents(root: Path, official: Iterable[str]) -> Contents:
    """What lies in a folder; `official` are the paths, relative to it, of folders with official test clips.

    A folder whose name begins with "_" or "." is no word, nor is one that holds folders but no recording. Raises
    OSError where the root itself cannot be read.
    """
    there, official = Contents(), set(official)
    for entry in _sorted(root):
        if entry.name == NOISE_FOLDER:
            _take(there, root, entry.name, there.noise)
        elif not entry.name.startswith(("_", ".")) and entry.name not in LISTS.values():
            _take_word(there, root, entry)
    for folder in sorted(official):
        _take(there, root, folder, there.official, may_lack=True)
    there.others = [path for path in there.others if path.removesuffix("/") not in official]
    for split, name in LISTS.items():
        try:
            if (entries := _read_list(root / name)) is not None:
                there.lists[split] = entries
        except OSError as error:
            there.unreadable.append(LeftOut(name, _reason(error)))
    return there


def folder_of(name: str | Path) -> Path:
    """A data folder by its whole path. Raises UserError where that is not UTF-8, which no recipe or store can hold."""
    root = Path(name).expanduser().absolute()
    if _is_not_utf8(str(root)):
        raise UserError(f"{root}: the path of a data folder must be UTF-8: rename it, or make a link to it")
    return root


def bare(path: str) -> str:
    """A path without the suffix, by which clips and entries of lists are matched."""
    return os.path.splitext(path)[0]


def _take_word(there: Contents, root: Path, entry: os.DirEntry[str]) -> None:
    """A word folder; what else may lie beside it is no clip, unless it is called like one."""
    name, found = entry.name, _looked_at(entry)
    if isinstance(found, str):
        there.left_out.append(LeftOut(name, found))
    elif not stat.S_ISDIR(found.st_mode):
        if _is_sound(name):
            there.left_out.append(LeftOut(name, "not in the folder of a word"))
    elif plain(name) != name:  # a word is a label: it is printed, logged, and compiled into C
        why = "not UTF-8" if _is_not_utf8(name) else "not one line of plain text"
        there.left_out.append(LeftOut(name, f"its name is {why}, and so no word: rename the folder"))
    else:
        _take(there, root, name, there.words, is_word=True)


def _take(there: Contents, root: Path, folder: str, into: Files, is_word: bool = False, may_lack: bool = False) -> None:
    """The recordings of one folder, and what is to be said of the rest of it; hidden files are none of ours."""
    try:
        entries = [entry for entry in _sorted(root / folder) if not entry.name.startswith(".")]
    except OSError as error:
        lacks = isinstance(error, FileNotFoundError)
        if not (lacks and may_lack and not os.path.lexists(root / folder)):
            there.unreadable.append(LeftOut(folder, NOT_HERE if lacks else _reason(error)))
        return
    others, count = [], len(into)
    for entry in entries:
        path = f"{folder}/{entry.name}"
        if not _is_sound(entry.name):
            others.append(f"{path}/" if _is_folder(entry) else path)
        elif isinstance(found := _recording(entry), str):
            there.left_out.append(LeftOut(path, found))
        else:
            into[path] = found
    if is_word:
        there.others += others
        if len(into) == count and not any(path.endswith("/") for path in others):
            there.empty.append(folder)


def _sorted(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_sound(name: str) -> bool:
    return not name.startswith(".") and _suffix(name) in AUDIO_SUFFIXES | OTHER_SOUNDS


def _recording(entry: os.DirEntry[str]) -> os.stat_result | str:
    """The file of a recording, or why it is none."""
    suffix, found = _suffix(entry.name), _looked_at(entry)
    if isinstance(found, str):
        return found
    if stat.S_ISDIR(found.st_mode):
        return "a folder, not a recording"
    if not stat.S_ISREG(found.st_mode):
        return "a pipe, a socket or a device, not a recording"
    if suffix in OTHER_SOUNDS:
        return f"no WAV, FLAC or OGG file: convert it ({suffix} is not read)"
    return "its name is not UTF-8: rename it" if _is_not_utf8(entry.name) else found


def _looked_at(entry: os.DirEntry[str]) -> os.stat_result | str:
    """What an entry of a folder leads to, or why it leads nowhere."""
    try:
        return entry.stat()
    except OSError as error:
        dangling = isinstance(error, FileNotFoundError) and entry.is_symlink()
        return NOT_HERE if dangling else _reason(error)


def _is_not_utf8(name: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in name)  # as Python keeps such bytes


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _reason(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"


def _read_list(path: Path) -> dict[str, str] | None:
    """Entries of a list by their path without suffix; None when there is no such list. Raises OSError."""
    if not os.path.lexists(path):
        return None
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("a list is a file of lines, <word>/<file>")
    lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    entries = (line.strip().replace("\\", "/").removeprefix("./") for line in lines)
    return {bare(entry): entry for entry in entries if entry}
