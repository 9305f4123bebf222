"""A thousand mutated model files: each is read or refused, in few steps, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import REPOSITORY
from stranger_files import archive, description, h5, h5_files, keras_2, keras_files, tflite, tflite_files, watched

from hybridq.graph.reader import read_graph
from hybridq.profiler import profile

KERAS, TFLITE, H5 = 520, 420, 60  # mutated files of each sort; an .h5 file takes a process of its own
XCUBE = REPOSITORY.parent / "shared" / "facts" / "xcube" / "models"


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


def test_mutated_h5_files(inner: Path) -> None:
    made = h5(inner / "model.h5", keras_2().decode()).read_bytes()
    real = sorted(XCUBE.glob("*.h5"), key=lambda path: path.stat().st_size)[:2]
    said = watched(inner, h5_files(inner, H5, [made, *(path.read_bytes() for path in real)]))
    assert len(said) == H5
    assert KERAS + TFLITE + H5 == 1000
