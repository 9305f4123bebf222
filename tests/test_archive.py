"""Archives from a real server: downloads that break, go on, are refused."""

import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from archive_server import FILE, TINY, Behaviour, Handler, archive_of, folder_entry, packed, recording
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.speech.audio import open_folder
from hybridq.speech.audio.archive import (
    ATTEMPTS,
    SERVER_VARIABLE,
    Archive,
    download,
    download_test_set,
    is_downloaded,
)
from hybridq.speech.audio.unpack import BadArchive


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
from hybridq.speech.audio.archive import Archive, download
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


def test_a_circle_of_redirects_is_said_in_one_line(served: Behaviour, tmp_path: Path) -> None:
    served.circle = True
    first, second = fails(tmp_path).splitlines()
    assert "HTTP status 302" in first
    assert "infinite loop" in first
    assert "--data synthetic" in second


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
    assert "the disk is full" in message
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
