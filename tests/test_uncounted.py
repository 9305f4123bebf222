"""Layers without a rule: what the model stores of them is counted, and "fits" is not said. Inputs of unknown size."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from stranger_files import archive, read_or_refused

from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.profiler import profile, render
from hybridq.profiler.diff import Diff
from hybridq.profiler.suggest import suggest

WILD = Path(__file__).resolve().parent.parent.parent / "shared" / "facts" / "wild"


def own(units: int) -> Any:
    """A layer of the user's own, a dense one of three kernels; with a seed, which is no weight."""
    import keras

    class Own(keras.layers.Layer):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.seed = keras.random.SeedGenerator(1)

        def build(self, shape: Any) -> None:
            self.kernels = [self.add_weight(shape=(shape[-1], units), name=f"kernel_{i}") for i in range(3)]

        def call(self, x: Any) -> Any:
            return x @ self.kernels[0]

    return Own(name="own")


@pytest.fixture(scope="module")
def model() -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((8,))
    x = layers.Dense(6, name="first")(inputs)
    inner = keras.Sequential([keras.Input((6,)), own(5), layers.Dense(4, name="last")], name="inner")
    return keras.Model(inputs, inner(x), name="odd")


@pytest.fixture(scope="module")
def files(model: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("odd")
    for suffix in ("keras", "h5"):
        model.save(folder / f"odd.{suffix}")
    return {"object": model, **{suffix: folder / f"odd.{suffix}" for suffix in ("keras", "h5")}}


@pytest.mark.parametrize("source", ["object", "keras", "h5"])
def test_what_a_layer_stores_is_counted_by_the_arrays(files: dict[str, Any], source: str) -> None:
    report = profile(files[source])
    rows = {row.name: row for row in report.rows}
    assert (rows["inner/own"].kind, rows["inner/own"].macc) == ("unknown: Own", None)
    assert rows["inner/own"].parameters == 3 * 6 * 5
    assert rows["inner/own"].weights_bytes == 4 * 3 * 6 * 5
    assert rows["first"].parameters == 8 * 6 + 6
    assert report.totals.parameters == files["object"].count_params()


def test_fits_is_not_said_while_a_layer_is_not_counted(files: dict[str, Any]) -> None:
    report = profile(files["keras"])
    texts = [
        repr(report),
        render.page(report),
        render.markdown(report),
        repr(Diff(report, report)),
        repr(suggest(read_graph(files["keras"]), 2**20)),
    ]
    for text in (" ".join(text.split()) for text in texts):
        assert "Fits" not in text
        assert "at least" in text
        assert "1 layer not counted" in text
    assert report.totals.fits is None
    assert report.to_json()["totals"]["fits"] is None
    small = profile(files["keras"], target="hello-edge-small")
    assert small.totals.fits is None
    over = profile(files["keras"].with_suffix(".h5"), target=_of(100, 100))
    assert over.totals.fits is False
    assert "Does not fit" in repr(over)
    assert "by at least" in " ".join(repr(over).split())


def _of(flash: int, ram: int) -> Any:
    from hybridq.profiler.targets import custom_target

    return custom_target(f"{flash}B", f"{ram}B")


def test_arrays_that_do_harm_are_not_read(files: dict[str, Any], tmp_path: Path) -> None:
    """A bomb, no HDF5, and no arrays at all in place of the weights: they are not known then."""
    with zipfile.ZipFile(files["keras"]) as good:
        config = good.read("config.json")
    for name, content in {"bomb": bytes(200 * 2**20), "text": b"hello", "none": None}.items():
        path = archive(tmp_path / f"{name}.keras", config)
        if content is not None:
            with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
                file.writestr("model.weights.h5", content)
        report = profile(path)
        assert {row.name: row.parameters for row in report.rows}["inner/own"] is None
        assert report.not_costed
    saved = json.loads(config)
    for layers in ("x", [None], [{"class_name": 3, "config": 7}]):
        changed = json.loads(json.dumps(saved))
        changed["config"]["layers"][2]["config"]["layers"] = layers
        read_or_refused(archive(tmp_path / "odd.keras", json.dumps(changed).encode()))


# ------------------------------------------------------------------------------------- inputs of unknown size


@pytest.fixture(scope="module")
def open_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras
    from keras import layers

    inputs = keras.Input((None, None, 3), name="picture")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(inputs))
    path = tmp_path_factory.mktemp("open") / "open.keras"
    keras.Model(inputs, x).save(path)
    return path


def test_an_open_input_is_given_a_shape(open_file: Path, run: Run) -> None:
    for shape in ((30, 20, 3), [30, 20, 3], {"picture": (30, 20, 3)}):
        assert profile(open_file, input_shape=shape).rows[0].output_shape == (28, 18, 4)
    for texts in (["30x20x3"], ["picture=30x20x3"], ["30,20,3"]):
        code, out, err = run("profile", str(open_file), *(word for text in texts for word in ("--input-shape", text)))
        assert code == 0, err
        assert "28x18x4" in out
    code, out, err = run(
        "profile", str(open_file), "--input-shape", "9x9x3", "--diff", str(open_file), "--format", "csv"
    )
    assert code == 0, err


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "the input 'picture' is ?x?x3, which is not fixed: state it, as in --input-shape 96x96x3"),
        (["30x20"], "--input-shape 30x20: the input 'picture' is ?x?x3"),
        (["30x20x4"], "--input-shape 30x20x4: the input 'picture' is ?x?x3"),
        (["30x20x3", "audio=9"], "--input-shape audio=...: the network has no such input (it has picture)"),
        (["30xx3"], "--input-shape 30xx3: not sizes such as 96x96x3, without the batch"),
        (["0x20x3"], "the input shape [0, 20, 3] is none such as (96, 96, 3), without the batch"),
        (["99999999999x20x3"], "the shape (99999999999, 20, 3) is not possible"),
    ],
)
def test_a_shape_that_is_missing_or_wrong_is_named(open_file: Path, texts: list[str], message: str, run: Run) -> None:
    code, out, err = run("profile", str(open_file), *(word for text in texts for word in ("--input-shape", text)))
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())


def test_a_fixed_input_keeps_its_shape(files: dict[str, Any]) -> None:
    assert profile(files["keras"], input_shape=(8,)).totals == profile(files["keras"]).totals
    with pytest.raises(UserError, match=r"--input-shape 9: the input 'input_layer.*' is 8"):
        profile(files["keras"], input_shape=(9,))


def test_hdf5_under_the_name_of_the_newer_file(files: dict[str, Any], tmp_path: Path) -> None:
    shutil.copy(files["h5"], tmp_path / "old.keras")
    assert profile(tmp_path / "old.keras").totals == profile(files["h5"]).totals


@pytest.mark.skipif(not WILD.is_dir(), reason="the files are not beside this checkout (../shared)")
def test_a_file_of_somebody_else_under_that_name() -> None:
    report = profile(WILD / "hdf5_named.keras", input_shape=(256,))
    assert (report.totals.parameters, report.totals.flash_bytes) == (160_017, 640_068)


def test_hybrid_says_where_it_narrows_nothing(open_file: Path, files: dict[str, Any], run: Run) -> None:
    code, _, err = run("profile", str(open_file), "--input-shape", "9x9x3", "--plan", "hybrid")
    assert (code, err) == (0, "--plan hybrid narrows no layer here: there is no dense layer but the last\n")
    code, _, err = run("profile", str(files["keras"]), "--plan", "hybrid")
    assert (code, err) == (0, "")
