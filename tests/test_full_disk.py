"""A disk that is full or read-only: nothing is lost, and the message names the place."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, MoveIn
from store_processes import refused

from hybridq.data.cache import cached
from hybridq.errors import ENVIRONMENT, UserError
from hybridq.paths import scratch
from hybridq.tracking import open_store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    while subprocess.run(["umount", "-l", disk], capture_output=True, check=False).returncode == 0:
        pass  # the read-only mount lies on top of the first


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4096"], capture_output=True, check=False)
    return filler


def test_read_only_and_full_disk_lose_nothing(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, move_in: MoveIn
) -> None:
    move_in(monkeypatch, small_disk)
    store = open_store()
    (tmp_path / "best.keras").write_bytes(b"good")
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "best.keras").write_bytes(b"b" * 4_000_000)
    run = store.start_run("full", params={}, tags={})
    run.artifact(tmp_path / "best.keras")
    run.metrics({"training loss": 1.0}, step=1)
    with pytest.raises(UserError, match=r"best\.keras: the disk is full") as full, run:
        run.artifact(tmp_path / "big" / "best.keras")
    assert full.value.exit_code == ENVIRONMENT
    assert store.find("full").status == "FAILED"
    assert store.find("full").metrics == {"training loss": 1.0}
    assert store.download(run.id, "best.keras").read_bytes() == b"good"
    stopped = store.start_run("stopped", params={}, tags={})
    filler = fill(small_disk)
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    writes: list[Callable[[], object]] = [
        lambda: store.start_run("fuller", params={f"p{at}": "x" * 5000 for at in range(90)}, tags={}),
        lambda: stopped.tags({f"t{at}": "x" * 5000 for at in range(90)}),
        lambda: stopped.artifact(tmp_path / "big" / "best.keras"),
        lambda: stopped.text("note.txt", "x" * 100_000),
        lambda: open_store(small_disk / "another"),
    ]
    for write in writes:
        with pytest.raises(UserError, match=r"(disk (failed or )?is full|No space left on device)$") as full:
            write()
        assert "\n" not in str(full.value)
        assert full.value.exit_code == ENVIRONMENT
    monkeypatch.setattr(tempfile, "tempdir", None)
    filler.unlink()
    assert store.find("full").metrics == {"training loss": 1.0}
    assert "t1" not in store.find("stopped").tags  # a batch is written whole or not at all
    with store.resume_run(stopped.id) as again:
        again.metrics({"training loss": 0.5}, step=2)
        again.text("note.txt", "x" * 100_000)
    assert store.find("stopped").status == "FINISHED"
    assert store.find("stopped").metrics == {"training loss": 0.5}
    assert not list(small_disk.rglob("*.part"))
    subprocess.run(["mount", "--bind", small_disk, small_disk], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", small_disk], check=True)
    assert "read-only" in refused(small_disk / "mlruns")
    assert open_store(small_disk / "mlruns").find("full").id == run.id  # reading still works
    assert "cannot write" in refused(small_disk / "elsewhere")


def test_a_full_disk_of_temporary_files_is_named(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file system says it, and as HDF5 does, in which Keras keeps weights."""
    h5py = pytest.importorskip("h5py")
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))

    def hdf5(folder: Path) -> None:
        with h5py.File(folder / "weights.h5", "w") as file:
            file["weights"] = np.ones(4_000_000, np.int8)

    def plainly(folder: Path) -> None:
        (folder / "a").write_bytes(bytes(4_000_000))

    message = f"cannot write {small_disk}: the disk is full"
    for write in (plainly, hdf5):
        with pytest.raises(UserError, match=message) as full, scratch() as folder:
            write(folder)
        assert full.value.exit_code == ENVIRONMENT


def test_a_full_cache_is_a_full_disk(small_disk: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*: the disk is full") as full:
        cached(small_disk / "features.npy", lambda: np.ones(1_000_000, np.float32))
    assert full.value.exit_code == ENVIRONMENT


def test_output_to_a_full_disk_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "w") as full:
        recipe = REPOSITORY / "recipes" / "paper" / "fp32.yaml"
        command = [sys.executable, "-m", "hybridq", "profile", str(recipe)]
        assert subprocess.run(command, stdout=full, check=False).returncode == ENVIRONMENT
    assert capfd.readouterr().err == "hybridq: the output: No space left on device\n"
