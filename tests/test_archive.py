"""Downloading and unpacking the published archives, from a real server that misbehaves on demand."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridq.audio import open_folder
from hybridq.audio.archive import (
    ARCHIVES,
    ATTEMPTS,
    SERVER_VARIABLE,
    Archive,
    download,
    download_test_set,
    is_downloaded,
    server_url,
)
from hybridq.audio.unpack import BadArchive, unpack
from hybridq.errors import UserError

FILE = "tiny.tar.gz"


@dataclass
class Behaviour:
    """What the server does. The lists are used up, one entry a request."""

    content: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)  # bytes sent before the connection is closed
    statuses: list[int] = field(default_factory=list)  # sent instead of an answer
    block: int = 100  # bytes sent at once
    pause_s: float = 0.0  # after each block
    claimed_size: int | None = None
    asked: list[str | None] = field(default_factory=list)  # the Range of each request


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        behaviour: Behaviour = self.server.behaviour  # type: ignore[attr-defined]
        behaviour.asked.append(self.headers["Range"])
        if behaviour.statuses:
            self.send_error(behaviour.statuses.pop(0))
            return
        content, start = behaviour.content, 0
        same = self.headers["If-Range"] in (None, behaviour.etag)
        if behaviour.ranges and self.headers["Range"] and same:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(behaviour.claimed_size or len(content) - start))
        if behaviour.etag:
            self.send_header("ETag", behaviour.etag)
        self.end_headers()
        end = start + behaviour.break_after.pop(0) if behaviour.break_after else len(content)
        try:
            for at in range(start, end, behaviour.block):
                self.wfile.write(content[at : min(at + behaviour.block, end)])
                time.sleep(behaviour.pause_s)
        except OSError:
            pass  # the client was killed

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def served(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> Behaviour:
    monkeypatch.setenv(SERVER_VARIABLE, f"http://127.0.0.1:{server.server_port}/mirror/")
    server.behaviour = Behaviour(TINY)  # type: ignore[attr-defined]
    return server.behaviour  # type: ignore[attr-defined]


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def recording(seed: int) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.random.default_rng(seed).normal(0, 0.1, 400), 16000, format="WAV")
    return out.getvalue()


def folder_entry(name: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    return member, b""


# As the published archives are made: "./" first, then "./<word>/<clip>".
TINY = packed(
    folder_entry("./"),
    (tarfile.TarInfo("./testing_list.txt"), b"yes/b_nohash_0.wav\n"),
    (tarfile.TarInfo("./validation_list.txt"), b""),
    folder_entry("./yes"),
    *((tarfile.TarInfo(f"./yes/{name}_nohash_0.wav"), recording(at)) for at, name in enumerate("abc")),
    *((tarfile.TarInfo(f"./no/{name}_nohash_0.wav"), recording(at)) for at, name in enumerate("de", 3)),
)


def archive_of(content: bytes) -> Archive:
    return Archive(FILE, len(content), hashlib.sha256(content).hexdigest())


def fetch(cache: Path, archive: Archive | None = None) -> Path:
    return download("v0.02", cache, progress=False, archives={"v0.02": archive or archive_of(TINY)}, wait_s=0.001)


def part_of(cache: Path) -> Path:
    return cache / "speech_commands" / f"{FILE}.part"


def fails(cache: Path, archive: Archive | None = None) -> str:
    """The message of a failed download, which leaves no data set."""
    with pytest.raises(UserError) as caught:
        fetch(cache, archive)
    assert caught.value.exit_code == 3
    assert not (cache / "speech_commands" / "v0.02").exists()
    return str(caught.value)


def assert_whole(folder: Path) -> None:
    assert len(list(folder.rglob("*.wav"))) == 5
    assert (folder / "yes" / "b_nohash_0.wav").read_bytes() == recording(1)
    left = {path.name for path in folder.parent.iterdir()}
    assert left == {"v0.02"}


def test_downloads_once(served: Behaviour, tmp_path: Path) -> None:
    folder = fetch(tmp_path)
    assert folder == tmp_path / "speech_commands" / "v0.02"
    assert_whole(folder)
    assert fetch(tmp_path) == folder
    assert served.asked == [None]
    audio = open_folder(folder, tmp_path, name="Speech Commands v0.02")
    assert audio.words() == {"no": 2, "yes": 3}
    assert audio.words("test") == {"yes": 1}


def test_the_official_test_clips_come_into_the_folder_of_their_version(served: Behaviour, tmp_path: Path) -> None:
    folder = fetch(tmp_path)
    digest = open_folder(folder, tmp_path).digest
    assert is_downloaded("v0.02", tmp_path)
    assert not is_downloaded("v0.02", tmp_path, test_set=True)
    served.content = packed(
        folder_entry("./"),
        (tarfile.TarInfo("./_silence_/1.wav"), recording(7)),
        (tarfile.TarInfo("./_unknown_/cat_b_nohash_0.wav"), recording(8)),
        (tarfile.TarInfo("./yes/b_nohash_0.wav"), recording(1)),
    )
    served.break_after = [100]
    archives = {"v0.02": archive_of(served.content)}
    for _ in range(2):
        download_test_set("v0.02", tmp_path, progress=False, archives=archives, wait_s=0.001)
    assert len(served.asked) == 3
    assert is_downloaded("v0.02", tmp_path, test_set=True)
    audio = open_folder(folder, tmp_path)
    assert [(clip.word, clip.speaker) for clip in audio.official] == [("_silence_", "1"), ("cat", "b")]
    assert audio.words() == {"no": 2, "yes": 3}
    assert audio.digest == digest
    assert not [path for path in folder.parent.iterdir() if path.name != "v0.02"]


def test_goes_on_after_a_break(served: Behaviour, tmp_path: Path) -> None:
    served.break_after = [1000, 50]
    assert_whole(fetch(tmp_path))
    assert served.asked == [None, "bytes=1000-", "bytes=1050-"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    breaks=st.lists(st.integers(0, len(TINY)), max_size=ATTEMPTS - 1),
    ranges=st.booleans(),
    etag=st.sampled_from(['"one"', 'W/"weak"', None]),
)
def test_ends_up_whole_wherever_it_breaks(
    served: Behaviour,
    tmp_path_factory: pytest.TempPathFactory,
    breaks: list[int],
    ranges: bool,
    etag: str | None,
) -> None:
    served.break_after, served.ranges, served.etag = list(breaks), ranges, etag
    assert_whole(fetch(tmp_path_factory.mktemp("cache")))


def test_starts_again_where_the_server_cannot_go_on(served: Behaviour, tmp_path: Path) -> None:
    served.ranges = False
    served.break_after = [1000]
    assert_whole(fetch(tmp_path))
    assert served.asked == [None, "bytes=1000-"]


def test_starts_again_where_the_file_is_another_one(served: Behaviour, tmp_path: Path) -> None:
    part = part_of(tmp_path)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of another file" * 10)
    part.with_name(f"{FILE}.part.tag").write_text('"zero"')
    assert_whole(fetch(tmp_path))


def test_starts_again_where_nothing_follows(served: Behaviour, tmp_path: Path) -> None:
    part = part_of(tmp_path)
    part.parent.mkdir(parents=True)
    part.write_bytes(TINY[:100])
    served.statuses = [416]
    assert_whole(fetch(tmp_path))
    assert served.asked == ["bytes=100-", None]


def test_a_part_longer_than_the_archive_is_dropped(served: Behaviour, tmp_path: Path) -> None:
    part = part_of(tmp_path)
    part.parent.mkdir(parents=True)
    part.write_bytes(TINY + b"more")
    assert_whole(fetch(tmp_path))
    assert served.asked == [None]


def test_a_whole_part_needs_no_server(served: Behaviour, tmp_path: Path) -> None:
    part = part_of(tmp_path)
    part.parent.mkdir(parents=True)
    part.write_bytes(TINY)
    (part.parent / ".v0.02.unpacking" / "yes").mkdir(parents=True)  # killed while unpacking
    (part.parent / ".v0.02.unpacking" / "yes" / "stale.wav").write_bytes(b"half")
    assert_whole(fetch(tmp_path))
    assert served.asked == []


KILLED = """
import sys
from pathlib import Path
from hybridq.audio.archive import Archive, download
cache, file, size, sha256 = sys.argv[1:]
download("v0.02", Path(cache), archives={"v0.02": Archive(file, int(size), sha256)})
"""


def test_a_kill_leaves_what_came_and_no_data_set(served: Behaviour, tmp_path: Path) -> None:
    served.content = TINY + np.random.default_rng(0).bytes(400_000)
    served.block, served.pause_s = 20_000, 0.1
    archive = archive_of(served.content)
    arguments = [str(tmp_path), FILE, str(archive.size), archive.sha256]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    part = part_of(tmp_path)
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    came = part.stat().st_size
    assert 0 < came < archive.size
    assert not (tmp_path / "speech_commands" / "v0.02").exists()
    served.pause_s = 0
    assert_whole(fetch(tmp_path, archive))
    assert served.asked == [None, f"bytes={came}-"]


def test_two_at_once_download_once(served: Behaviour, tmp_path: Path) -> None:
    served.pause_s = 0.01
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(fetch, [tmp_path, tmp_path])
    assert first == second
    assert served.asked == [None]
    assert_whole(first)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_tries_again_after_a_passing_fault(served: Behaviour, tmp_path: Path, status: int) -> None:
    served.statuses = [status] * (ATTEMPTS - 1)
    assert_whole(fetch(tmp_path))


def test_gives_up_after_some_attempts(served: Behaviour, tmp_path: Path) -> None:
    served.statuses = [503] * 100
    assert f"HTTP status 503, {ATTEMPTS} times in a row" in fails(tmp_path)
    assert len(served.asked) == ATTEMPTS


def test_gives_up_at_once_where_there_is_no_such_file(served: Behaviour, tmp_path: Path) -> None:
    served.statuses = [404]
    message = fails(tmp_path)
    assert "HTTP status 404" in message
    assert "--data synthetic" in message
    assert message.count("\n") == 1
    assert len(served.asked) == 1


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://no.such.host.invalid", "not an address"])
def test_says_what_to_do_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv(SERVER_VARIABLE, address)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    message = fails(tmp_path)
    assert message.startswith(f"cannot download {address}/{FILE}: ")
    assert "--data FOLDER" in message


def test_refuses_a_file_of_another_size(served: Behaviour, tmp_path: Path) -> None:
    served.content = b"<html>Please log in</html>"
    assert f"the server offers 26 bytes, the archive has {len(TINY)}" in fails(tmp_path)
    part = part_of(tmp_path)
    part.write_bytes(TINY[:10])
    part.with_name(f"{FILE}.part.tag").write_text('"one"')
    assert "the server offers 26 bytes" in fails(tmp_path)


def test_refuses_more_than_was_announced(served: Behaviour, tmp_path: Path) -> None:
    served.content = TINY + b"more"
    served.claimed_size = len(TINY)
    assert_whole(fetch(tmp_path))  # what comes after the announced length is never read


def test_refuses_another_file_of_the_same_size(served: Behaviour, tmp_path: Path) -> None:
    served.content = bytes(len(TINY))
    assert "the checksum differs" in fails(tmp_path)
    assert not part_of(tmp_path).exists()


def test_a_full_disk_is_said_in_one_line(served: Behaviour, tmp_path: Path) -> None:
    part = part_of(tmp_path)
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    message = fails(tmp_path)
    assert "No space left" in message
    assert "\n" not in message


def test_a_cache_that_cannot_be_written_is_said_in_one_line(served: Behaviour, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file")
    with pytest.raises(UserError, match="cannot write") as caught:
        fetch(cache)
    assert caught.value.exit_code == 3


def test_a_disk_too_small_is_said_before_the_download(served: Behaviour, tmp_path: Path) -> None:
    assert "HYBRIDQ_CACHE" in fails(tmp_path, Archive(FILE, 10**16, ""))
    assert served.asked == []


def test_a_damaged_archive_is_not_kept(served: Behaviour, tmp_path: Path) -> None:
    served.content = TINY[:-200]
    with pytest.raises(BadArchive, match="damaged"):
        fetch(tmp_path, archive_of(served.content))
    assert {path.name for path in (tmp_path / "speech_commands").iterdir()} == set()


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


@pytest.mark.parametrize(
    "member",
    [
        (tarfile.TarInfo("../outside.txt"), b"x"),
        (tarfile.TarInfo("yes/../../outside.txt"), b"x"),
        (tarfile.TarInfo("{root}/outside.txt"), b"x"),
        (tarfile.TarInfo("..\\outside.txt"), b"x"),
        folder_entry("../outside"),
        link("yes/link", "/etc", tarfile.SYMTYPE),
        link("yes/link", "a.wav", tarfile.LNKTYPE),
        link("yes/device", "", tarfile.CHRTYPE),
        link("yes/pipe", "", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member[0].name} {member[0].type!r}",
)
def test_refuses_what_would_leave_the_folder(tmp_path: Path, member: tuple[tarfile.TarInfo, bytes]) -> None:
    info, content = member
    info.name = info.name.replace("{root}", str(tmp_path))
    archive = tmp_path / "evil.tar.gz"
    archive.write_bytes(packed((tarfile.TarInfo("yes/a.wav"), recording(0)), (info, content)))
    with pytest.raises(BadArchive, match="refused"):
        unpack(archive, tmp_path / "home" / "data", progress=False)
    assert {path.name for path in tmp_path.iterdir()} == {"evil.tar.gz", "home"}
    assert not list((tmp_path / "home").iterdir())


def test_takes_over_no_modes(tmp_path: Path) -> None:
    info = tarfile.TarInfo("yes/a.wav")
    info.mode, info.uid = 0o6777, 1234
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(packed((info, b"sound")))
    unpack(archive, tmp_path / "data", progress=False)
    stat = (tmp_path / "data" / "yes" / "a.wav").stat()
    assert stat.st_mode & 0o7111 == 0
    assert stat.st_uid == os.getuid()


def test_the_published_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER_VARIABLE, raising=False)
    assert server_url(ARCHIVES["v0.01"]) == "http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz"
    assert {version: archive.size for version, archive in ARCHIVES.items()} == {
        "v0.01": 1_489_096_277,
        "v0.02": 2_428_923_189,
    }
    assert all(len(bytes.fromhex(archive.sha256)) == 32 for archive in ARCHIVES.values())
