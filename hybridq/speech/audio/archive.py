"""Downloads the Speech Commands archives, resuming after a break, and unpacks them into the cache.

In `<cache>/speech_commands/`: `<version>/` is the data set, there only when whole, and in it
`official_test_v2/`, once it was asked for; `<archive>.part` is what has been downloaded so far,
`<archive>.part.tag` the server's mark of the file it is a part of.
"""

import hashlib
import http.client
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from hybridq.errors import ENVIRONMENT, NotWritable, UserError
from hybridq.paths import locked
from hybridq.speech.audio.clips import OFFICIAL_FOLDER
from hybridq.speech.audio.progress import bar
from hybridq.speech.audio.unpack import BadArchive, unpack


@dataclass(frozen=True)
class Archive:
    """A published archive: its file name, size in bytes, and the SHA-256 of its bytes in hex."""

    file: str
    size: int
    sha256: str


# The sizes are those the server gives; the digests those that torchaudio and others publish.
ARCHIVES: Mapping[str, Archive] = {
    "v0.01": Archive(
        "speech_commands_v0.01.tar.gz",
        1_489_096_277,
        "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    ),
    "v0.02": Archive(
        "speech_commands_v0.02.tar.gz",
        2_428_923_189,
        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    ),
}

# The official test clips, with those of silence and of words that are no command, for the versions that have them.
TEST_SETS: Mapping[str, Archive] = {
    "v0.02": Archive(
        "speech_commands_test_set_v0.02.tar.gz",
        112_563_277,
        "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
    ),
}

SERVER = "http://download.tensorflow.org/data"
SERVER_VARIABLE = "HYBRIDQ_SPEECH_COMMANDS_URL"  # the address of a mirror, used instead of SERVER

UNPACKED_RATIO = 1.5  # size of the recordings over that of the archive, a little more than both archives need
ATTEMPTS = 5  # in a row that brought nothing
TIMEOUT_S = 30
BLOCK = 1 << 18

INSTEAD = "use a folder of your own (--data FOLDER) or --data synthetic"

logger = logging.getLogger("hybridq")


class _Broken(Exception):
    """The transfer broke in a way that may pass: try again from where it stands."""


class _Unreachable(_Broken):
    """No connection to the server at all."""


def download(
    version: str,
    cache: Path,
    *,
    progress: bool = True,
    archives: Mapping[str, Archive] = ARCHIVES,
    wait_s: float = 1.0,
) -> Path:
    """The folder of a published version ("v0.01", "v0.02"), downloaded and unpacked if it is not there yet.

    A second process waits for the first. A break, a kill or a full disk leaves what came so far, and the next
    call goes on from there. `wait_s` is the pause after the first break, doubled after each further one.

    Raises UserError with exit status 3 when the server cannot be reached, gives another file, or the disk is
    full or not writable.
    """
    home = cache.expanduser().absolute() / "speech_commands"
    return _brought(archives[version], home, home / version, progress, wait_s)


def download_test_set(
    version: str,
    cache: Path,
    *,
    progress: bool = True,
    archives: Mapping[str, Archive] = TEST_SETS,
    wait_s: float = 1.0,
) -> Path:
    """The folder of the official test clips in that of a version that is there already; otherwise as `download`."""
    home = cache.expanduser().absolute() / "speech_commands"
    return _brought(archives[version], home, home / version / OFFICIAL_FOLDER, progress, wait_s)


def _brought(archive: Archive, home: Path, folder: Path, progress: bool, wait_s: float) -> Path:
    """The folder with what the archive holds; the unfinished download lies in `home`."""
    if folder.is_dir():
        return folder
    part = home / f"{archive.file}.part"
    try:
        home.mkdir(parents=True, exist_ok=True)
        taken = f"another process is downloading to {home}: waiting for it"
        with locked(home / f"{folder.name}.lock", lambda: logger.warning(taken)):
            if not folder.is_dir():
                _make_room(part, archive)
                _fetch(part, archive, progress, wait_s)
                _verify(part, archive)
                _unpack(part, folder, progress)
            _forget(part)
    except OSError as error:
        raise NotWritable(error.filename or home, error) from error
    return folder


def is_downloaded(version: str, cache: Path, test_set: bool = False) -> bool:
    """Whether `download` would find that version, and `download_test_set` its official test clips."""
    folder = cache.expanduser().absolute() / "speech_commands" / version
    return (folder / OFFICIAL_FOLDER if test_set and version in TEST_SETS else folder).is_dir()


def server_url(archive: Archive) -> str:
    """Where an archive is downloaded from."""
    return f"{(os.environ.get(SERVER_VARIABLE) or SERVER).rstrip('/')}/{archive.file}"


def _make_room(part: Path, archive: Archive) -> None:
    """Say at once, not after hours, that the disk is too small."""
    needed = archive.size * (1 + UNPACKED_RATIO) - _size(part)
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise UserError(
            f"{part.parent}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free;"
            " set HYBRIDQ_CACHE to a folder with more room",
            ENVIRONMENT,
        )


def _fetch(part: Path, archive: Archive, progress: bool, wait_s: float) -> None:
    """Bring `part` to the archive's size, however often the transfer breaks, while something still comes."""
    url = server_url(archive)
    failed = 0
    reached = False
    with bar(f"downloading {archive.file}", archive.size, done=_size(part), unit="bytes", show=progress) as done:
        while (before := _size(part)) != archive.size:
            try:
                _continue(url, part, archive, done)
                reason = "the connection was closed"
            except _Broken as error:
                if isinstance(error, _Unreachable) and not reached:
                    raise _no_use(url, str(error)) from error
                reason = str(error)
            came = _size(part) > before
            reached = reached or came
            failed = 0 if came else failed + 1
            if failed == ATTEMPTS:
                raise _no_use(url, f"{reason}, {ATTEMPTS} times in a row")
            if _size(part) != archive.size:
                logger.info("%s: %s, going on", url, reason)
                time.sleep(wait_s * 2 ** max(failed - 1, 0))


def _continue(url: str, part: Path, archive: Archive, done: Callable[[int], None]) -> None:
    """One request for what `part` lacks, written to it as it comes."""
    if _size(part) > archive.size:
        _forget(part)
    have = _size(part)
    tag = _tag_file(part)
    headers = {"User-Agent": "hybridq", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag.is_file() and (known := tag.read_text(encoding="ascii", errors="replace")).isascii() and known:
            headers["If-Range"] = known  # the server then sends all of it if the file is another one by now
    with _opened(url, headers, part) as response:
        start = _start(response, url, archive)
        if start not in (0, have):
            raise _no_use(url, f"the server goes on from byte {start} instead of {have}")
        with open(part, "ab" if start else "wb") as file:
            tag.write_text(_tag(response), encoding="ascii", errors="replace")
            while block := _read(response):
                if file.tell() + len(block) > archive.size:
                    raise _no_use(url, f"the server sends more than the archive's {archive.size} bytes")
                file.write(block)
                done(file.tell())


@contextmanager
def _opened(url: str, headers: dict[str, str], part: Path) -> Iterator[http.client.HTTPResponse]:
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            _forget(part)
            raise _Broken("the server has nothing to go on with") from error
        if error.code >= 500 or error.code in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS):
            raise _Broken(f"HTTP status {error.code}") from error
        reason, _, _ = str(error.reason).partition("\n")  # of a circle of redirects Python has three lines
        raise _no_use(url, f"HTTP status {error.code} {reason}") from error
    except urllib.error.URLError as error:
        raise _Unreachable(getattr(error.reason, "strerror", None) or str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from error
    except ValueError as error:
        raise _no_use(url, str(error)) from error
    with response:
        yield response


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK)  # whatever is there, so that a break loses nothing
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from error


def _start(response: http.client.HTTPResponse, url: str, archive: Archive) -> int:
    """The byte that the answer starts with; UserError if it is part of a file of another size."""
    start, total = 0, response.headers.get("Content-Length", "")
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not part:
            raise _no_use(url, "the server sends a part without saying which")
        start, total = int(part[1]), part[2]
    if total.isdecimal() and int(total) != archive.size:
        raise _no_use(url, f"the server offers {total} bytes, the archive has {archive.size}")
    return start


def _tag(response: http.client.HTTPResponse) -> str:
    """What If-Range takes: the strong entity tag, else the date, else nothing (RFC 9110, section 13.1.5)."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _verify(part: Path, archive: Archive) -> None:
    with open(part, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != archive.sha256:
        _forget(part)
        raise _no_use(server_url(archive), "what it sent is not the archive: the checksum differs; removed, try again")


def _unpack(part: Path, folder: Path, progress: bool) -> None:
    try:
        unpack(part, folder, progress=progress)
    except BadArchive:
        _forget(part)
        raise


def _no_use(url: str, reason: str) -> UserError:
    return UserError((f"cannot download {url}: {reason};", INSTEAD), ENVIRONMENT)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _tag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)
