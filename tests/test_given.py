"""Arrays that a command is given: read in pieces, and what cannot be is named in a line with its file."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from hybridq.data import given
from hybridq.errors import BAD_INPUT, UserError

SHAPE = (4, 3, 1)


def saved(folder: Path, array: Any, name: str = "x.npy") -> str:
    np.save(folder / name, np.asarray(array))
    return str(folder / name)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "uint8", "int64", "bool"])
@pytest.mark.parametrize("shape", [(5, 4, 3, 1), (5, 4, 3), (5, 1, 4, 3)])
def test_numbers_of_any_type_are_read_as_the_model_reads_them(
    dtype: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    for order in "CF":
        read = given.samples(saved(tmp_path, np.asarray(array, order=order)), SHAPE)
        assert len(read) == 5
        assert read.part(slice(1, 3)).dtype == np.float32
        np.testing.assert_array_equal(read.part(np.array([4, 0])), array.reshape(5, *SHAPE)[[4, 0]].astype(np.float32))
        parts = list(read.parts(2))
        assert [(which.start, which.stop) for which, _ in parts] == [(0, 2), (2, 4), (4, 5)]
        np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), array.reshape(5, *SHAPE))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_has_one_array_or_says_which_there_are(save: Any, tmp_path: Path) -> None:
    x, y = np.arange(24).reshape(2, 4, 3), np.arange(2)
    save(tmp_path / "a:b.npz", x=x)
    save(tmp_path / "both.npz", x=x, y=y)
    np.testing.assert_array_equal(given.read_array(f"{tmp_path}/a:b.npz"), x)
    np.testing.assert_array_equal(given.read_array(f"{tmp_path}/both.npz:y"), y)
    with pytest.raises(UserError, match=r"both.npz: 2 arrays in it: name one, as .*both.npz:NAME; there are x, y$"):
        given.read_array(f"{tmp_path}/both.npz")
    with pytest.raises(UserError, match=r"both.npz: no array 'Y' in it; there are x, y; did you mean 'y'\?"):
        given.read_array(f"{tmp_path}/both.npz:Y")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 4, 3), "complex64"), "must be real or whole numbers (is complex64)"),
        (np.array([["a"]]), "must be real or whole numbers (is <U1)"),
        (np.zeros((2, 3, 4)), "must be (n, 4, 3, 1), as the model reads (is (2, 3, 4))"),
        (np.zeros((4, 3)), "must be (n, 4, 3, 1), as the model reads (is (4, 3)) (a single sample still needs the fi"),
        (np.float32(3), "must be (n, 4, 3, 1), as the model reads (is ())"),
        (np.zeros((0, 4, 3)), "has no samples"),
    ],
)
def test_what_no_model_reads_is_refused(array: Any, message: str, tmp_path: Path) -> None:
    place = saved(tmp_path, array)
    with pytest.raises(UserError, match=f"^{re.escape(f'{place}: {message}')}") as refused:
        given.samples(place, SHAPE)
    assert refused.value.exit_code == BAD_INPUT
    assert len(refused.value.lines) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_no_finite_number_is_found_in_its_sample(value: float, tmp_path: Path) -> None:
    array = np.zeros((30, 4, 3))
    array[17, 2, 1] = value
    read = given.samples(saved(tmp_path, array), SHAPE)
    for which in (slice(10, 30), np.array([3, 17, 20])):
        with pytest.raises(UserError, match=r"x.npy: sample 17 has a NaN or an infinity in it, or is beyond float32"):
            read.part(which)


class Trap:
    """Once unpickled, makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


def test_anomalies_are_of_any_class_but_the_normal_one() -> None:
    """Of numbers that is 0, of text `normal`, as in a recipe."""
    wanted = [0, 1, 0, 1]
    assert given.anomalies(given.InMemory("y", np.array([0, 2, 0, 1])), 4).tolist() == wanted
    assert given.anomalies(given.InMemory("y", np.array([False, True, False, True])), 4).tolist() == wanted
    assert given.anomalies(given.InMemory("y", np.array(["normal", "worn", "normal", "loose"])), 4).tolist() == wanted
    assert given.anomalies(given.InMemory("y", np.array(["worn", "loose"])), 2).tolist() == [1, 1]
    with pytest.raises(UserError, match="y: is of 4 samples, and there are 3"):
        given.anomalies(given.InMemory("y", np.array(["normal"] * 4)), 3)


def test_nothing_in_a_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("objects.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez("objects.npz", x=np.array([Trap()], dtype=object))
    Path("pickle.npy").write_bytes(pickle.dumps(Trap()))
    said = {
        "objects.npy": "objects.npy: holds pickled Python objects, which are never loaded; save an array of numbers",
        "objects.npz": "objects.npz: x.npy holds pickled Python objects, which are never loaded; save an array of",
        "pickle.npy": "pickle.npy: not an .npy file, as numpy.save writes it (the magic string is not correct",
    }
    for name, message in said.items():
        with pytest.raises(UserError, match=f"^{re.escape(message)}"):
            given.read_array(name)
    assert not Path("ran").exists()


def test_what_is_no_array_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, np.zeros((9, 4, 3)))
    whole = Path("x.npy").read_bytes()
    Path("short.npy").write_bytes(whole[:-8])
    Path("empty.npy").touch()
    Path("header.npy").write_bytes(whole[:40])
    Path("folder.npy").mkdir()
    Path("x.csv").touch()
    Path("bad.npz").write_bytes(b"PK\3\4 and no more")
    size = len(whole)
    said = {
        "none.npy": "no such file",
        "short.npy": f"cut short: {size - 8} of {size} bytes are there",
        "empty.npy": "not an .npy file",
        "header.npy": "not an .npy file",
        "x.csv": "must be an .npy or .npz file, as numpy.save and numpy.savez write it",
        "bad.npz": "damaged, or not an .npz file",
        "none.npz": "no such file",
    }
    for name, message in said.items():
        with pytest.raises(UserError, match=f"^{re.escape(f'{name}: {message}')}"):
            given.read_array(name)
    with pytest.raises(UserError, match=r"^cannot read folder\.npy: "):
        given.read_array("folder.npy")


@drawn(st.binary(max_size=200), st.integers(0, 127), st.integers(0, 2**16 - 1))
def test_a_damaged_file_is_read_or_refused(extra: bytes, cut: int, change: int) -> None:
    import io
    import tempfile

    whole = io.BytesIO()
    np.save(whole, np.zeros((2, 4, 3)))
    content = bytearray(whole.getvalue()[: len(whole.getvalue()) - cut] + extra)
    content[change % 128 % len(content)] = change >> 8
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        file.write(content)
        file.flush()
        with suppress(UserError):
            given.samples(file.name, SHAPE).part(slice(0, 2))


def test_an_array_larger_than_memory_is_read_in_pieces(tmp_path: Path) -> None:
    """100 GB of it, by a process that may have half a gigabyte of its own."""
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, 4, 3), np.float32))
    header["shape"] = (2 * 10**9, 4, 3)
    with (tmp_path / "large.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 96 * 10**9)
    program = """
        import resource, sys
        from hybridq.data import given
        resource.setrlimit(resource.RLIMIT_DATA, (512 * 2**20,) * 2)
        read = given.samples(sys.argv[1], (4, 3, 1))
        places = given.spread(len(read), 50)
        print(len(read), places[-1], read.part(places).shape, next(read.parts(64))[1].sum())
        most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
        print(int(most.split()[1]) < 2**20)  # KiB; getrusage would count those of the process before it
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "large.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "2000000000 1999999999 (50, 4, 3, 1) 0.0\nTrue\n"


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_classes_are_numbers_or_labels(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    numbers = np.array([0, 1, 1, 0, 1, 0])
    names = np.array(["cat", "dog"])[numbers]
    for array in (numbers.astype(dtype), names):
        place = saved(tmp_path, array.reshape(shape))
        np.testing.assert_array_equal(given.classes(place, 6, ("cat", "dog"), 2), numbers)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5, int), "is of 5 samples, and there are 6"),
        (np.int64(3), "is of 0 samples, and there are 6"),
        (np.eye(6, 2), "must be (n,), the class of each sample (is (6, 2)): take its argmax(1)"),
        (np.zeros((6, 2, 2)), "must be (n,), the class of each sample (is (6, 2, 2))"),
        (np.zeros(6), "classes are whole numbers from 0, or the labels as text (is float64)"),
        (np.array([0, 1, 0, 2, 0, 0]), "sample 3 is of class 2; there are 0 to 1"),
        (np.array([0, 0, -1, 0, 0, 0]), "sample 2 is of class -1; there are 0 to 1"),
        (np.array(["cat"] * 5 + ["dag"]), "'dag' is none of the labels cat, dog; did you mean 'dog'?"),
    ],
)
def test_what_is_no_class_is_refused(array: Any, message: str, tmp_path: Path) -> None:
    place = saved(tmp_path, array, "y.npy")
    with pytest.raises(UserError, match=f"^{re.escape(f'{place}: {message}')}$"):
        given.classes(place, 6, ("cat", "dog"), 2)


def test_names_need_labels_to_be_among(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="classes by name, and this network has no labels: give whole numbers from 0"):
        given.classes(saved(tmp_path, np.array(["cat", "dog"])), 2, (), 2)


def test_numbers_to_answer_with_are_of_the_outputs_shape(tmp_path: Path) -> None:
    place = saved(tmp_path, np.arange(6.0))
    np.testing.assert_array_equal(given.targets(place, 6, (1,)).part(slice(6)), np.arange(6.0)[:, None])
    with pytest.raises(UserError, match=r"must be \(n, 2\), as the model answers"):
        given.targets(place, 6, (2,))
