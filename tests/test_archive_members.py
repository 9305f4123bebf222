"""What an archive may hold, and which archives are published."""

import os
import tarfile
from pathlib import Path

import pytest
from archive_server import folder_entry, packed, recording

from hybridq.speech.audio.archive import ARCHIVES, SERVER_VARIABLE, server_url
from hybridq.speech.audio.unpack import BadArchive, unpack


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
