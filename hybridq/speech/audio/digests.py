"""Content digests of the files of a data set, remembered so that an unchanged file is read once.

A digest depends on the file's bytes alone, so the same data at another place has the same digests.
"""

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hybridq.speech.audio.progress import bar

LENGTH = 32  # hexadecimal digits kept of the SHA-256: 128 bits
UNREADABLE = ""  # the digest of a file that cannot be opened; reading it later says why

# A file changed twice within its clock's grain looks the same after the second change, so what was changed
# this recently (in nanoseconds) is not remembered.
SETTLED = 2_000_000_000

Stamp = tuple[int, int, int]  # size in bytes, times of the last change of the content and of the entry in ns

logger = logging.getLogger("hybridq")


def file_digests(
    root: Path, paths: Mapping[str, os.stat_result], cache: Path, *, progress: bool = True
) -> dict[str, str]:
    """Digest of each of `paths` (relative to `root`, with its stat), reading only what has changed.

    What is known is kept in `cache/digests/`; without a writable cache every file is read each time. A file
    that cannot be opened gets `UNREADABLE`.
    """
    store = cache / "digests" / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:LENGTH]}.json"
    known = _load(store)
    stamps = {path: (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in paths.items()}
    digests: dict[str, str] = {}
    stale = []
    for path, stamp in stamps.items():
        entry = known.get(path)
        if entry and entry[0] == stamp:
            digests[path] = entry[1]
        else:
            stale.append(path)
    started = time.time_ns()
    if stale:
        with bar("reading the clips", len(stale), show=progress and len(stale) > 1000) as done:
            for count, path in enumerate(stale, 1):
                digests[path] = _digest(root / path)
                if count % 100 == 0:
                    done(count)
    if stale or len(known) != len(stamps):
        settled = {
            path: (stamp, digests[path])
            for path, stamp in stamps.items()
            if digests[path] != UNREADABLE and max(stamp[1:]) < started - SETTLED
        }
        if settled != known:
            _save(store, settled)
    return digests


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:LENGTH]
    except OSError:
        return UNREADABLE


def _load(store: Path) -> dict[str, tuple[Stamp, str]]:
    """What is known; nothing where the file is missing or broken."""
    try:
        entries = json.loads(store.read_bytes())
        return {path: ((int(size), int(m), int(c)), str(digest)) for path, (size, m, c, digest) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _save(store: Path, known: Mapping[str, tuple[Stamp, str]]) -> None:
    """Replace the file in one step, so that a reader sees the old or the new one, never half."""
    text = json.dumps({path: (*stamp, digest) for path, (stamp, digest) in known.items()})
    temporary = None
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=store.parent, delete=False) as file:
            temporary = file.name
            file.write(text)
        os.replace(temporary, store)
    except OSError as error:
        logger.debug("digests not kept in %s: %s", store, error)
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
