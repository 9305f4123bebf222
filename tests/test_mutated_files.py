"""A thousand mutated model files: each is read or refused, in few steps, and nothing is written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from stranger_files import archive, description, h5, h5_files, keras_2, keras_files, tflite, tflite_files, watched

from hybridq.graph.reader import read_graph
from hybridq.profiler import profile

KERAS, TFLITE, H5 = 520, 420, 60  # mutated files of each sort; an .h5 file takes a process of its own
SERVER = Path(__file__).parent / "h5_server.py"
XCUBE = REPOSITORY.parent / "shared" / "facts" / "xcube" / "models"


@pytest.fixture
def forks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process that reads an .h5 file is the copy of one that has imported h5py, which takes most of its time."""
    from hybridq.graph.keras import file

    folder = tmp_path_factory.mktemp("server")
    output, errors = folder / "output", folder / "errors"
    command = [sys.executable, "-I", "-B", str(SERVER)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as server:
        assert server.stdin
        assert server.stdout
        asked, answers = server.stdin, server.stdout

        def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
            assert command[:4] == [sys.executable, "-I", "-B", "-c"]
            words = {"program": command[4], "arguments": command[5:], "output": str(output), "errors": str(errors)}
            print(json.dumps(words), file=asked, flush=True)
            status = int(answers.readline())
            return subprocess.CompletedProcess(command, status, output.read_bytes(), errors.read_bytes())

        monkeypatch.setattr(file.subprocess, "run", run)
        yield
        monkeypatch.undo()


def test_the_sound_files_are_read(inner: Path) -> None:
    (inner / "a.tflite").write_bytes(tflite())
    files = [archive(inner / "a.keras", json.dumps(description()).encode()), h5(inner / "a.h5", keras_2().decode())]
    assert all(profile(path).totals.macc > 0 for path in [*files, inner / "a.tflite"])
    assert read_graph(files[0]) == read_graph(files[1])


def test_mutated_keras_files(inner: Path) -> None:
    said = watched(inner, keras_files(inner, KERAS))
    assert len(said) == KERAS
    assert len(set(said)) > KERAS // 4  # the mutations reach many places


def test_mutated_tflite_files(inner: Path) -> None:
    said = watched(inner, tflite_files(inner, TFLITE, tflite()))
    assert len(said) == TFLITE


@pytest.mark.usefixtures("forks")
def test_mutated_h5_files(inner: Path) -> None:
    made = h5(inner / "model.h5", keras_2().decode()).read_bytes()
    real = sorted(XCUBE.glob("*.h5"), key=lambda path: path.stat().st_size)[:2]
    said = watched(inner, h5_files(inner, H5, [made, *(path.read_bytes() for path in real)]))
    assert len(said) == H5
    assert KERAS + TFLITE + H5 == 1000
