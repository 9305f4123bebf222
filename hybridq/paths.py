"""Where what can be made again is kept, the locks that let one process at a time make it; files and zips, opened."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from hybridq.errors import NotWritable, UserError, disk_is_full, first_line

PLAIN_MEMBERS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of a zip: other ways of packing inflate without a bound
LONGEST_CHECKED = 10_000_000  # bytes of a file that is looked through for the mark that it is ours


def cache_root() -> Path:
    """The cache folder: `$HYBRIDQ_CACHE`, else `$XDG_CACHE_HOME/hybridq`, else `~/.cache/hybridq`."""
    own = os.environ.get("HYBRIDQ_CACHE")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "hybridq"


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading. OSError for what is none: a pipe or a device may have nothing to say, for ever."""

    def at_once(name: str, flags: int) -> int:
        descriptor = os.open(name, flags | os.O_NONBLOCK)  # which a file does not mind
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # a folder is refused by `open`
            return descriptor
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file", name)

    return open(path, "rb", opener=at_once)


@contextmanager
def open_zip(
    path: Path, kind: str, opened: Callable[[Path], BinaryIO | io.RawIOBase] = open_regular
) -> Iterator[zipfile.ZipFile]:
    """A zip, open for reading; `kind` is what it should be, as "a .keras file", for messages.

    Raises UserError, beginning with the path, for one that is not there or is damaged, also where that shows only when
    its members are read.
    """
    try:
        with opened(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # a damaged archive raises whatever its reader trips over: struct.error, zlib.error
        raise UserError(f"{path}: damaged, or not {kind} ({first_line(error)})") from None


@contextmanager
def locked(file: Path, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Held by one process at a time; the system lets go of it when that process ends, however it ends.

    `file` is made, with its folder, and removed again. `wait` is called once if another process has it: it may say so,
    or raise. Raises NotWritable where the file cannot be made. On a network file system it holds between machines if
    the file system's own locks do.
    """
    told = False
    while True:
        with _opened(file) as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    wait()
                    told = True
                fcntl.flock(held, fcntl.LOCK_EX)
            if not _is_still(file, held.fileno()):
                continue  # the holder before us removed it while we waited: another may have a new one
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
            return


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is there for as long as it is needed. Raises NotWritable where the disk of such folders is full."""
    try:
        with tempfile.TemporaryDirectory(prefix="hybridq-") as folder:
            yield Path(folder)
    except UserError:  # it says already which disk
        raise
    except Exception as error:  # HDF5 has errors of other kinds when it closes its file
        if not disk_is_full(error):
            raise
        raise NotWritable(tempfile.gettempdir(), OSError(str(error))) from error


def check_free(option: str, path: Path, mark: str, whose: str) -> None:
    """Raise UserError where a file cannot be written because of what is there: no folder, or a file without a mark.

    option: the one that names the file; mark: text that only files of ours hold; whose: what those are, all for the
    message "--out a.yaml: is there already, and is not the work of a search".
    """
    try:
        with open_regular(path) as file:
            ours = mark.encode() in file.read(LONGEST_CHECKED)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UserError(f"{option} {path}: there is no folder {path.parent}") from None
        return
    except OSError:
        ours = False
    if not ours:
        raise UserError(f"{option} {path}: is there already, and is {whose}; name another file")


def _opened(file: Path) -> IO[str]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return open(file, "w")
    except OSError as error:
        raise NotWritable(file, error) from error


def _is_still(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False
