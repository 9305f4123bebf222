"""Model files made to do harm: each is read or refused, in few steps and little memory, and nothing of it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY
from stranger_files import (
    archive,
    description,
    h5,
    keras_2,
    keras_files,
    listing,
    nested,
    read_or_refused,
    tflite,
    tflite_files,
)

from hybridq.errors import UserError
from hybridq.graph.keras.file import LARGEST_CONFIG
from hybridq.graph.reader import read_graph
from hybridq.profiler import profile

MEGABYTES = 500


def bomb(path: Path, method: int, megabytes: int) -> Path:
    """A `.keras` file of a few megabytes at most whose description inflates to so many."""
    with (
        zipfile.ZipFile(path, "w", method, compresslevel=1) as file,
        file.open("config.json", "w", force_zip64=True) as member,
    ):
        for _ in range(megabytes):
            member.write(bytes(2**20))
    return path


@pytest.fixture(scope="module")
def deflated_bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It inflates to more than a process may take in `test_memory_stays_small`."""
    return bomb(tmp_path_factory.mktemp("bomb") / "bomb.keras", zipfile.ZIP_DEFLATED, MEGABYTES + 200)


def is_refused_uninflated(path: Path) -> None:
    assert path.stat().st_size < 2**24
    tracemalloc.start()
    try:
        assert f"{path.name}: " in read_or_refused(path)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_not_inflated(inner: Path, deflated_bomb: Path) -> None:
    is_refused_uninflated(deflated_bomb)
    is_refused_uninflated(bomb(inner / "bomb.keras", zipfile.ZIP_BZIP2, 60))


def test_an_archive_of_endless_files_is_refused(inner: Path) -> None:
    path = inner / "many.keras"
    with zipfile.ZipFile(path, "w") as file:
        for i in range(30_000):
            file.writestr(zipfile.ZipInfo(f"{i}" + "x" * 50), b"")
    assert "too long" in read_or_refused(path)


@pytest.mark.parametrize("name", ["../config.json", "/tmp/config.json", "a/../../config.json", "..\\config.json"])
def test_a_path_out_of_the_archive_is_not_followed(inner: Path, name: str) -> None:
    path = archive(inner / "climbs.keras", json.dumps(description()).encode(), name)
    before = listing(inner)
    assert "no config.json" in read_or_refused(path)
    assert listing(inner) == before


def test_a_link_in_an_archive_is_not_followed(inner: Path) -> None:
    (inner / "secret").write_text(json.dumps(description()))
    entry = zipfile.ZipInfo("config.json")
    entry.external_attr = 0o120777 << 16  # a symbolic link
    with zipfile.ZipFile(inner / "link.keras", "w") as file:
        file.writestr(entry, str(inner / "secret"))
    assert "damaged" in read_or_refused(inner / "link.keras")


def test_links_and_what_is_no_file(inner: Path) -> None:
    sound = archive(inner / "sound.keras", json.dumps(description()).encode())
    (inner / "link.keras").symlink_to(sound)
    assert profile(inner / "link.keras").totals == profile(sound).totals
    (inner / "circle.keras").symlink_to(inner / "circle.keras")
    (inner / "device.h5").symlink_to("/dev/zero")
    (inner / "nowhere.h5").symlink_to("/nonexistent")
    (inner / "circle.tflite").symlink_to(inner / "circle.tflite")
    (inner / "device.tflite").symlink_to("/dev/zero")
    for suffix in ("keras", "h5", "tflite"):
        os.mkfifo(inner / f"pipe.{suffix}")
    (inner / "folder.keras").mkdir()
    (inner / "unreadable.tflite").symlink_to("/proc/1/mem")
    missing = ("nowhere.h5", "nowhere.tflite", "sound.keras/a.h5", "x" * 300 + ".keras", "x" * 300, "nul\0.keras")
    for name in (*(path.name for path in inner.iterdir() if path.name not in ("sound.keras", "link.keras")), *missing):
        with pytest.raises(UserError, match=r"no such file|cannot (be )?read"):
            read_graph(inner / name)


def test_a_large_file_of_nothing(inner: Path) -> None:
    """Its bytes take no room on the disk; ten gigabytes of them are not read."""
    for name, magic in (("a.keras", b""), ("a.h5", b""), ("a.tflite", b""), ("b.tflite", b"\x10\0\0\0TFL3")):
        with (inner / name).open("wb") as file:
            file.write(magic)
            file.truncate(10 * 2**30 if not magic else 2**25)
        tracemalloc.start()
        try:
            assert "damaged" in read_or_refused(inner / name)
            assert tracemalloc.get_traced_memory()[1] < 2**29  # the most of it that was held at a time
        finally:
            tracemalloc.stop()


DEEP = [
    b"[" * 200_000,
    b'{"config":' * 200_000,
    b'{"config": {"layers": [' + b"[]," * 1_300_000 + b"[]]}}",
    b'{"config": {"layers": [' + b"{}," * 1_300_000 + b"{}]}}",
    b'{"config": {"layers": ' + b"9" * 3_000_000 + b"}}",
    b" " * (LARGEST_CONFIG + 1),
    json.dumps(nested(60)).encode(),
]


@pytest.mark.parametrize("text", DEEP, ids=range(len(DEEP)))
def test_deep_and_large_descriptions(inner: Path, text: bytes) -> None:
    read_or_refused(archive(inner / "deep.keras", text))


def test_a_long_name_in_an_archive_is_not_repeated(inner: Path) -> None:
    """Found: the reader of archives quotes both names where they contradict."""
    path = archive(inner / "long.keras", b"{}", "config.json" + "x" * 30_000)
    path.write_bytes(path.read_bytes().replace(b"config.jsonx", b"config.json\0"))
    said = read_or_refused(path)
    assert len(said) < 500 + len(str(path))


def test_h5_files_of_strange_links(inner: Path) -> None:
    """The description is an attribute of the file's root, whatever else it links to."""
    import h5py

    with h5py.File(h5(inner / "links.h5", keras_2().decode()), "a") as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
        file["outside"] = h5py.ExternalLink("/etc/passwd", "/")
        layout = h5py.VirtualLayout(shape=(10,), dtype="i4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(10,))
        file.create_virtual_dataset("virtual", layout)
    assert profile(inner / "links.h5").totals.macc > 0
    with h5py.File(inner / "huge.h5", "w", libver="latest") as file:
        file.attrs["model_config"] = "x" * (300 * 2**20)
    assert "damaged" in read_or_refused(inner / "huge.h5")


def test_no_code_of_the_file_runs(inner: Path) -> None:
    """Code in a Lambda, a class of the file's own, and modules beside the file that bear the names of libraries."""
    code = f"import pathlib\npathlib.Path({str(inner / 'ran')!r}).touch()\n"
    for name in ("h5py", "resource", "signal", "keras", "evil"):
        (inner / f"{name}.py").write_text(code)
    saved = description()
    lambda_config = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAAAAAAAAA=", "defaults": None}}
    dense, last = saved["config"]["layers"][-2:]
    dense |= {"class_name": "Lambda", "config": {"name": "dense", "function": lambda_config}}
    last |= {"class_name": "Evil", "module": "evil", "registered_name": "Custom>Evil"}
    for path in (archive(inner / "a.keras", json.dumps(saved).encode()), h5(inner / "a.h5", json.dumps(saved))):
        for module in ("h5py", "resource", "signal"):
            assert (inner / f"{module}.py").exists()
        report = profile(path)
        assert any("dense (unknown: Lambda)" in said for said in report.not_costed)
        assert any("Evil" in said for said in report.not_costed)
        assert {row.name: row.macc for row in report.rows}["dense"] is None
    assert not (inner / "ran").exists()


def test_h5_files_that_are_no_models(inner: Path) -> None:
    import h5py
    import numpy as np

    (inner / "text.h5").write_text("hello\n" * 1000)
    (inner / "empty.h5").write_bytes(b"")
    h5(inner / "number.h5", 7)
    h5(inner / "reference.h5", h5py.Empty("f"))
    h5(inner / "array.h5", np.zeros(8000))
    h5(inner / "large.h5", "x" * 60_000)
    with h5py.File(inner / "none.h5", "w") as file:
        file["weights"] = [1.0]
    with h5py.File(inner / "gigantic.h5", "w", libver="latest") as file:  # says that it has 4 GB
        file.attrs.create("model_config", "x", dtype="S60000")
    content = (inner / "gigantic.h5").read_bytes()
    (inner / "gigantic.h5").write_bytes(content.replace((60_000).to_bytes(4, "little"), b"\xff\xff\xff\xff"))
    with h5py.File(inner / "outside.h5", "w") as file:
        file["model_config"] = h5py.ExternalLink("/etc/passwd", "/")
    for path in sorted(inner.glob("*.h5")):
        assert read_or_refused(path).startswith((str(path), "cannot read")), path


MEASURE = """
import resource, sys
from pathlib import Path
from hybridq.errors import UserError
from hybridq.profiler import profile
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        profile(path)
    except UserError:
        pass
# getrusage would count the process that started this one; the kernel's own mark begins with the program
(own,) = (int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the largest memory is read from /proc")
def test_memory_stays_small(inner: Path, deflated_bomb: Path) -> None:
    """The largest of a sample of the files, and of the process that reads .h5 files."""
    scratch = inner / "scratch"
    scratch.mkdir()
    sources = (keras_files(scratch, 40), tflite_files(scratch, 40, tflite()))
    for i, path in enumerate(path for files in sources for path in files):
        path.rename(inner / f"{i}{path.suffix}")
    scratch.rmdir()
    for i, text in enumerate(DEEP):
        archive(inner / f"deep{i}.keras", text)
    shutil.copy(deflated_bomb, inner)
    h5(inner / "sound.h5", keras_2().decode())
    (inner / "text.h5").write_text("hello")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(inner)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 1024 < MEGABYTES  # ru_maxrss is in KiB
