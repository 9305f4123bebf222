"""Data of any kind: splits, standardisation, arrays mapped from files, pictures in class folders."""

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hybridq.data.arrays import read_arrays
from hybridq.data.images import read_images
from hybridq.data.samples import Samples, samples_of
from hybridq.data.settings import ArraysData, ImagesData
from hybridq.data.splits import drawn
from hybridq.data.task import SPLITS, Task
from hybridq.errors import UserError

TASK = Task.CLASSIFY


def samples(arrays, task: Task = TASK, **given) -> Samples:
    return samples_of(arrays, ArraysData(arrays="a.npz", **given), task, "a", "a.npz")


@given(st.integers(3, 40), st.integers(0, 5), st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.data())
@settings(max_examples=60, deadline=None)
def test_no_group_is_in_two_splits_and_every_example_in_one(groups, seed, validation, test, more):
    of = np.array(more.draw(st.lists(st.integers(0, groups - 1), min_size=groups, max_size=200)) + list(range(groups)))
    left, taken = drawn(len(of), {"validation": validation, "test": test}, seed, of, None)
    parts = [left, *taken.values()]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(of)))
    inside = [set(of[part].tolist()) for part in parts]
    assert all(inside)
    assert sum(map(len, inside)) == len(set.union(*inside))
    again, _ = drawn(len(of), {"validation": validation, "test": test}, seed, of, None)
    assert np.array_equal(left, again)


def test_without_groups_every_class_is_in_every_split_by_its_share():
    data = samples({"x": np.zeros((1000, 2)), "y": np.repeat([0, 1], [900, 100])}, validation=0.2, test=0.1)
    assert {split: np.bincount(data.inputs(split)[1]).tolist() for split in SPLITS} == {
        "training": [630, 70], "validation": [180, 20], "test": [90, 10],
    }  # fmt: skip
    other = samples({"x": np.zeros((1000, 2)), "y": np.repeat([0, 1], [900, 100])}, split_seed=1)
    assert not np.array_equal(other.splits["test"].places, data.splits["test"].places)


def test_the_digest_is_of_content_and_names_are_of_the_data():
    arrays = {"x": np.arange(80.0).reshape(40, 2), "y": np.array(["b", "a"] * 20), "camera": np.zeros(3)}
    data = samples(arrays)
    assert data.labels == ("a", "b")
    assert data.digest == samples({**arrays, "camera": np.ones(1)}).digest  # of what is used
    changed = arrays["x"].copy()
    changed[3, 1] += 1
    assert samples({**arrays, "x": changed}).digest != data.digest


def test_standardised_by_the_training_split_alone():
    rng = np.random.default_rng(0)
    x = rng.normal([3, -100], [0.5, 20], (500, 7, 2)).astype(np.float16)
    data = samples({"x": x, "y": np.arange(500) % 2}, normalise="per_channel")
    inputs = data.inputs("training")[0]
    assert inputs.dtype == np.float32
    assert np.allclose(inputs.mean((0, 1)), 0, atol=1e-3)
    assert np.allclose(inputs.std((0, 1)), 1, atol=1e-3)
    together = samples({"x": x, "y": np.arange(500) % 2}, normalise="global").inputs("training")[0]
    assert abs(together.mean()) < 1e-3
    assert together[..., 1].mean() < -0.5


def test_anomalies_are_in_the_test_alone():
    data = samples({"x": np.zeros((100, 4)), "y": np.arange(100) % 10 == 0}, Task.RECONSTRUCT)
    assert {split: int(data.inputs(split)[1].sum()) for split in SPLITS} == {"training": 0, "validation": 0, "test": 10}
    named = {"x": np.zeros((6, 4)), "y": np.array(["normal"] * 4 + ["worn"] * 2)}
    assert int(samples(named, Task.RECONSTRUCT, validation=0.25, test=0.25).inputs("test")[1].sum()) == 2
    with pytest.raises(UserError, match="y: no normal example, which is of class 0 or 'normal'"):
        samples({"x": np.zeros((9, 4)), "y": np.ones(9, int)}, Task.RECONSTRUCT)


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_an_array_larger_than_the_memory_is_mapped_and_read_in_parts(tmp_path: Path, kind: str):
    rows, columns = 4000, 100_000  # 400 MB of zeros, a hole on the disk
    file = tmp_path / "x.npy"
    np.lib.format.open_memmap(file, "w+", np.uint8, (rows, columns)).flush()
    np.save(tmp_path / "y.npy", np.arange(rows) % 2)
    path = tmp_path
    if kind == "npz":
        path = tmp_path / "a.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(file, "x.npy")
            archive.write(tmp_path / "y.npy", "y.npy")
    tracemalloc.start()
    arrays = read_arrays(path)
    data = samples(arrays)
    inputs, targets = next(data.epochs(0, 1, 0)).part(0, 32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(arrays["x"], np.memmap)
    assert inputs.shape == (32, columns)
    assert targets.sum() == 32
    assert peak < rows * columns / 2


def picture(file: Path, colour: tuple[int, int, int], size: tuple[int, int] = (8, 6)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(10):
        picture(tmp_path / "p" / "red" / f"{number}.png", (250, number, 0))
        picture(tmp_path / "p" / "big blue" / f"{number}.jpg", (0, number, 250))
    return tmp_path / "p"


def test_pictures_of_class_folders_also_in_a_zip(folder: Path, tmp_path: Path):
    given = ImagesData(images=str(folder))
    arrays, digest = read_images(folder, given, tmp_path / "cache")
    assert arrays["x"].shape == (20, 6, 8, 3)
    red = {name: round(arrays["x"][arrays["y"] == name][..., 0].mean()) for name in ("big blue", "red")}
    assert red == {"big blue": 0, "red": 250}
    turned = ImagesData(images=str(folder), labels=["red", "big blue"])
    assert samples_of(arrays, turned, TASK, "p", "p").splits["training"].truth.tolist() == [1] * 8 + [0] * 8
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, Path("all") / file.relative_to(folder))
    zipped, _ = read_images(tmp_path / "p.zip", given, tmp_path / "cache")
    assert np.array_equal(zipped["x"], arrays["x"])
    grey = ImagesData(images=str(folder), size=(3, 4), colour="grey")
    assert read_images(folder, grey, tmp_path / "cache")[0]["x"].shape == (20, 3, 4, 1)
    picture(folder / "red" / "new.png", (1, 2, 3))
    assert read_images(folder, given, tmp_path / "cache")[1] != digest


def test_pictures_of_given_splits_also_of_a_zip_for_each(folder: Path, tmp_path: Path):
    splits = tmp_path / "s"
    for split in ("train", "test"):
        with zipfile.ZipFile((splits.mkdir(exist_ok=True) or splits) / f"{split}.zip", "w") as archive:
            for file in sorted(folder.rglob("*.*")):
                archive.write(file, file.relative_to(folder))
    arrays, digest = read_images(splits, ImagesData(images="s"), tmp_path / "cache")
    data = samples_of(arrays, ImagesData(images="s", validation=0.2), TASK, "s", "s", digest)
    assert {split: data.size(split) for split in SPLITS} == {"training": 16, "validation": 4, "test": 20}
    assert data.inputs("test")[0].max() <= 1


def test_a_file_that_is_no_picture_is_left_out_and_named(folder: Path, tmp_path: Path, caplog):
    (folder / "red" / "broken.png").write_bytes((folder / "red" / "1.png").read_bytes()[:40])
    (folder / "red" / "text.jpg").write_text("no picture")
    (folder / "red" / "notes.txt").write_text("nothing that is called like one")
    arrays, _ = read_images(folder, ImagesData(images="p"), tmp_path / "cache")
    assert len(arrays["x"]) == len(arrays["y"]) == 20
    assert "left out, no pictures: red/broken.png, red/text.jpg" in caplog.text
    assert "1 file is no picture by the name (red/notes.txt)" in caplog.text


@pytest.mark.parametrize(("change", "message"), [
    (lambda folder: picture(folder / "red" / "x.png", (0, 0, 0), (9, 9)), r"6 x 8 and 9 x 9 pixels \(red/x"),
    (lambda folder: picture(folder / "x.png", (0, 0, 0)), "x.png lies in no class folder"),
    (lambda folder: [file.unlink() for file in folder.rglob("*.*")], "no pictures in class folders"),
    (lambda folder: [file.write_bytes(b"") for file in folder.rglob("*.*")], "no file there is a picture"),
])  # fmt: skip
def test_folders_that_cannot_be_read_as_classes(folder: Path, tmp_path: Path, change, message: str):
    change(folder)
    with pytest.raises(UserError, match=message):
        read_images(folder, ImagesData(images="p"), tmp_path / "cache")


def test_a_zip_is_read_within_bounds(tmp_path: Path):
    bomb = tmp_path / "b.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(80 * 2**20))
        archive.writestr("../../outside/1.png", b"")
    with pytest.raises(UserError, match="no file there is a picture"):
        read_images(bomb, ImagesData(images="b"), tmp_path / "cache")
    (tmp_path / "c.zip").write_bytes(b"PK not a zip")
    with pytest.raises(UserError, match="damaged, or not a zip"):
        read_images(tmp_path / "c.zip", ImagesData(images="c"), tmp_path / "cache")
