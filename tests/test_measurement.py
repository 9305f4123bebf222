"""A trained network in integers: in `evaluate`, `compare`, `export`, `verify` and its run. Real, tiny trainings."""

import json
import shutil

import numpy as np
import pytest
from conftest import answers, command, write_tones

from hybridq.formats import Format
from hybridq.image import toolchain
from hybridq.integer.arithmetic import classes, quantized
from hybridq.integer.artefact import digest, load_network
from hybridq.integer.convert import convert
from hybridq.integer.network import Convolution, Dense
from hybridq.profiler import profile
from hybridq.quantization.model import DEFAULT_FRACTION, is_grid
from hybridq.recipe.file import load_recipe
from hybridq.runs.measurement import BATCH, outputs
from hybridq.runs.model_folder import load_bundle
from hybridq.runs.sources import open_dataset
from hybridq.tracking import open_store
from hybridq.tracking.metrics import METRICS
from hybridq.tracking.run import Run

pytestmark = pytest.mark.usefixtures("built_once")
RECIPES = {
    "float": "model: {name: cnn, filters: [2, 4], linear: 4, dense: 4}\ntraining: {epochs: 2, batch: 16}\n",
    "grids": """\
precision: {"*": {outputs: 8-bit}, "conv2d*": 8-bit, conv2d_2: 4-bit, linear: binary, "dense*": binary, dense: 8-bit}
training: {epochs: 1}
""",
    "weights": 'precision: {"conv2d*": 8-bit, "dense*": binary, dense: 8-bit}\n',
    "mixed": 'precision: {"conv2d*": {outputs: 8-bit}, "dense*": binary}\n',  # some tensors on grids, others not
}
START = "extends: float.yaml\nstart_from: float.yaml\n"


@pytest.fixture(scope="module")
def laboratory(move_in, tmp_path_factory):
    """A folder with a store in which each recipe was run."""
    root = tmp_path_factory.mktemp("laboratory")
    clips = write_tones(root / "clips")
    for name, text in RECIPES.items():
        more = "" if "training" in text else "training: {epochs: 0}\n"  # the weights of the float network will do
        (root / f"{name}.yaml").write_text((START if name != "float" else "") + text + more)
    with pytest.MonkeyPatch.context() as patch:
        move_in(patch, root)
        patch.setattr(Run, "figure", lambda *_: None)  # the pictures are not looked at
        for name in RECIPES:
            assert command("train", f"{name}.yaml", "--data", clips) == 0
        yield root


@pytest.fixture
def run(laboratory, capsys):
    """A command that succeeds: what it printed; as data where that is JSON."""

    def ended(*arguments):
        assert command(*arguments) == 0
        said = capsys.readouterr().out
        return json.loads(said) if "json" in arguments else said

    return ended


@pytest.fixture
def refusal(laboratory, capsys):
    """A command that ends with a mistake of the user's: what it said of it."""

    def ended(*arguments):
        assert command(*arguments) == 2
        return capsys.readouterr().err

    return ended


def views(laboratory):
    return {run.name: run for run in open_store(laboratory / "mlruns").runs() if run.params}


def logged(laboratory, name):
    store = open_store(laboratory / "mlruns")
    return store.download(store.find(name).id, "network.hqn")


def test_the_run_of_a_network_on_grids_has_the_integer_networks_figures(laboratory):
    view = views(laboratory)["grids"]
    assert digest(load_network(logged(laboratory, "grids"))) == view.tags["network.sha256"]
    assert view.metrics["test accuracy %"] == view.metrics["integer test accuracy %"]
    assert view.metrics["integer agreement %"] >= 90
    store = open_store(laboratory / "mlruns")
    found = json.loads(store.download(view.id, "evaluation.json").read_text())
    assert found["counts"] == "integer network"
    assert found["confusion"] == found["integer"]["confusion"]
    assert found["integer"]["sha256"] == view.tags["network.sha256"]
    assert found["keras"]["accuracy"] == pytest.approx(view.metrics["Keras test accuracy %"])


def test_a_recipe_trained_on_grids_is_heard_alike_by_both_networks(laboratory):
    """The whole way: a float parent, calibration, training on the grids, the bundle, the integer network."""
    store = open_store(laboratory / "mlruns")
    bundle = load_bundle(store.download(store.find("grids").id, "model"))
    model, network = bundle.model, convert(bundle.model, bundle.description)
    recipe = load_recipe(laboratory / "grids.yaml", [f"data.source={laboratory / 'clips'}"])
    x, truth = open_dataset(recipe).inputs("all", bundle.normalisation)
    heard, found = answers(model, x).argmax(1), classes(network, quantized(x, network.input_fraction))
    assert (heard == found).mean() >= 0.98  # one clip of 80
    assert abs((heard == truth).mean() - (found == truth).mean()) <= 0.02
    assert network.description.labels == bundle.labels
    widths = {layer.name: layer.width for layer in network.layers if isinstance(layer, Convolution | Dense)}
    assert widths == {
        "conv2d_1": Format.INT8,
        "conv2d_2": Format.INT4,
        "linear": Format.BINARY,
        "dense_1": Format.BINARY,
        "dense": Format.INT8,
    }
    # The grids were laid by the float parent, not left where an untrained network has them.
    assert {layer.activation.fraction for layer in model.layers if is_grid(layer)} != {DEFAULT_FRACTION}


def test_one_batch_and_several_have_the_same_outputs(laboratory):
    store = open_store(laboratory / "mlruns")
    model = load_bundle(store.download(store.find("grids").id, "model")).model
    several = np.random.default_rng(0).standard_normal((BATCH + 2, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_allclose(outputs(model, several[-9:]), outputs(model, several)[-9:], rtol=1e-5, atol=1e-6)


def test_a_network_of_quantized_weights_keeps_its_own_and_has_the_integers_beside(laboratory):
    view = views(laboratory)["weights"]
    assert digest(load_network(logged(laboratory, "weights"))) == view.tags["network.sha256"]
    assert view.metrics["test accuracy %"] == view.metrics["Keras test accuracy %"]
    assert {"integer test accuracy %", "integer agreement %"} <= set(view.metrics)


def test_a_network_without_a_form_in_integers_says_so_and_is_no_failure(laboratory):
    mixed, plain = (views(laboratory)[name] for name in ("mixed", "float"))
    assert mixed.status == plain.status == "FINISHED"
    assert "not on a grid" in mixed.tags["no integer network"]
    assert "no integer network" not in plain.tags
    assert "test accuracy %" in mixed.metrics
    for view in (mixed, plain):
        assert "integer test accuracy %" not in view.metrics
        assert "network.sha256" not in view.tags


@pytest.mark.parametrize("name", ["grids", "weights"])
def test_evaluate_says_what_the_run_has_logged(laboratory, run, name):
    view, found = views(laboratory)[name], run("evaluate", name, "--format", "json")
    assert found["accuracy"] == pytest.approx(view.metrics["test accuracy %"])
    assert found["integer"]["accuracy"] == pytest.approx(view.metrics["integer test accuracy %"])
    assert found["integer"]["sha256"] == view.tags["network.sha256"]
    assert found["agreement"] == pytest.approx(view.metrics["integer agreement %"])
    said = run("evaluate", name)
    assert f"SHA-256 {view.tags['network.sha256']}" in said
    assert "alike" in said
    # From the folder of the model, without the run, the integer network is made anew: it is the same.
    model = open_store(laboratory / "mlruns").download(view.id, "model")
    assert run("evaluate", model, "--format", "json") == found


def test_evaluate_of_networks_without_integers(run):
    found = run("evaluate", "float", "--format", "json")
    assert found["integer"] is found["agreement"] is found["no_integer_network"] is None
    assert found["accuracy"] == found["keras"]["accuracy"]
    assert "not on a grid" in run("evaluate", "mixed", "--format", "json")["no_integer_network"]
    assert "there is no integer network: " in run("evaluate", "mixed")
    assert "integer" not in run("evaluate", "float")


def test_a_file_of_integers_is_evaluated_by_itself(laboratory, run, refusal):
    file, clips = logged(laboratory, "grids"), laboratory / "clips"
    found = run("evaluate", file, "--data", clips, "--format", "json")
    whole = run("evaluate", "grids", "--format", "json")
    assert found["integer"] == whole["integer"]
    assert found["keras"] is None
    assert found["accuracy"] == whole["integer"]["accuracy"]
    assert f"{file.name} (integer network): " in run("evaluate", file, "--data", clips).replace(f"{file.parent}/", "")
    assert "--data names the clips" in refusal("evaluate", file)


def test_compare_has_a_column_for_the_integers(laboratory, run):
    rows = {row["network"]: row for row in run("compare", "--format", "json")["rows"]}
    for name, view in views(laboratory).items():
        assert rows[name]["integer_accuracy"] == view.metrics.get("integer test accuracy %")
    assert "Integer accuracy: in integers alone" in run("compare")
    assert "integer accuracy %" in run("compare", "--format", "markdown")
    assert "grids" in run("compare", "--filter", "integer accuracy>=0", "--sort", "-integer accuracy", "--each")


@pytest.mark.parametrize("name", ["grids", "weights"])
def test_the_exported_network_is_the_measured_one(laboratory, run, name, tmp_path):
    run("export", name, "--out", tmp_path / "image")
    sha = views(laboratory)[name].tags["network.sha256"]
    assert json.loads((tmp_path / "image" / "build.json").read_text())["digest"] == sha
    assert (
        run("evaluate", tmp_path / "image", "--data", laboratory / "clips", "--format", "json")["integer"]["sha256"]
        == sha
    )


@pytest.mark.parametrize(("name", "reason"), [("float", "not quantized"), ("mixed", "not on a grid")])
def test_what_has_no_integers_is_not_exported(refusal, name, reason, tmp_path):
    assert reason in refusal("export", name, "--out", tmp_path / "image")


def test_another_network_in_the_place_of_the_logged_one_is_refused(laboratory, refusal):
    file = logged(laboratory, "grids")
    kept = file.read_bytes()
    shutil.copyfile(logged(laboratory, "weights"), file)
    try:
        assert "is not the one of its tag network.sha256" in refusal("evaluate", "grids")
    finally:
        file.write_bytes(kept)


@pytest.fixture
def image(laboratory, run, tmp_path):
    """What `export grids` wrote; skips where it cannot be built and run."""
    for name in ("elftools", "unicorn"):
        pytest.importorskip(name, reason="needs pip install hybridq[deploy]")
    if not toolchain.cortex_m4() or toolchain.host() is None:
        pytest.skip("no compilers")
    run("export", "grids", "--out", tmp_path / "image")
    return tmp_path / "image"


def verified(capsys, folder):
    """What `verify` found, and what it said besides."""
    assert command("verify", folder, "--emulated", 1, "--format", "json") == 0
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def test_what_verify_measures_stands_in_the_run_beside_the_estimates(laboratory, image, capsys):
    before = views(laboratory)["grids"]
    found, said = verified(capsys, image)
    assert f"logged to grids ({before.id[:8]})" in said
    after = views(laboratory)["grids"]
    assert (after.status, after.ended) == ("FINISHED", before.ended)
    assert {name for name in after.metrics if name.startswith("image")} <= set(METRICS)
    kept = open_store(laboratory / "mlruns").download(after.id, "verification.json")
    assert json.loads(kept.read_text()) == found
    sizes, metrics = found["sizes"], after.metrics
    assert metrics["image flash KiB"] * 1024 == sizes["flash, together"] == sum(found["flash"].values())
    assert metrics["image RAM KiB"] * 1024 == sizes["RAM, together"] == sum(found["ram"].values())
    assert metrics["image stack KiB"] * 1024 == found["stack_bytes"]
    assert metrics["image instructions M"] * 1e6 == pytest.approx(found["classify_instructions"])
    assert metrics["image exact %"] == 100
    rooms = {"flash: weights": ("weights", "flash_bytes"), "RAM: tensors": ("tensors", "ram_bytes")}
    for begins, (what, total) in rooms.items():
        (measured,) = (size for name, size in sizes.items() if name.startswith(begins))
        assert metrics[f"image {what} beyond estimate KiB"] * 1024 == measured - found["estimate"][total]
    model = open_store(laboratory / "mlruns").download(after.id, "model") / "model.keras"
    report = profile(model, plan=load_recipe(laboratory / "grids.yaml").plan, accounting="packed")
    assert found["estimate"]["macc"] == report.totals.macc
    assert command("verify", image, "--emulated", 1) == 0
    assert "estimated   difference" in capsys.readouterr().out


def test_an_image_that_belongs_to_no_run_is_verified_and_not_logged(laboratory, image, run, monkeypatch, capsys):
    again = image.with_name("again")
    run("export", image, "--out", again)  # an export of an export is still the run's
    build = json.loads((again / "build.json").read_text())
    assert build == json.loads((image / "build.json").read_text())
    (again / "build.json").write_text(json.dumps(build | {"run": "0" * 32}))
    assert "not logged: no run '0000" in verified(capsys, again)[1]
    other = views(laboratory)["weights"].id
    (again / "build.json").write_text(json.dumps(build | {"run": other}))
    assert f"not logged: weights ({other[:8]}) has another network" in verified(capsys, again)[1]
    run("export", image / "network.hqn", "--out", image.with_name("file"))
    found, said = verified(capsys, image.with_name("file"))
    assert "not logged: the network was not exported from a run" in said
    assert not found["estimates"]
    nowhere = image.with_name("nowhere")
    nowhere.mkdir()
    monkeypatch.chdir(nowhere)
    assert "not logged: no runs are kept in" in verified(capsys, image)[1]
    assert not list(nowhere.iterdir())


def test_a_damaged_build_json_is_said(image, refusal):
    (image / "build.json").write_text("[")
    assert "build.json: not what `hybridq export` wrote" in refusal("verify", image, "--emulated", 1)
