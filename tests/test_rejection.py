"""A network with the classes silence and unknown: its run, `evaluate`, integers and image. A real, tiny training."""

import json

import numpy as np
import pytest
import soundfile
from conftest import command, write_tones

from hybridq.integer.artefact import load_network
from hybridq.tracking import open_store
from hybridq.tracking.metrics import METRICS
from hybridq.tracking.run import Run

RECIPE = """\
model: {name: cnn, filters: [2, 4], linear: 4, dense: 4}
precision: {"*": {outputs: 8-bit}, "conv2d*": 8-bit, "dense*": 8-bit}
training: {epochs: 0, batch: 16}
data: {words: [yes, no]}
"""
FOUR = """\
extends: two.yaml
data: {silence: 0.2, unknown: 0.5, unknown_words: [cat]}
decision: {threshold: 0.3}
training: {epochs: 2}
"""
LABELS = ["yes", "no", "_silence_", "_unknown_"]


@pytest.fixture(scope="module")
def laboratory(move_in, tmp_path_factory):
    """A folder with a store in which a network of two words was trained with and without the two classes."""
    root = tmp_path_factory.mktemp("rejection")
    clips = write_tones(root / "clips")
    rng = np.random.default_rng(2)
    for word in ("cat", "zero"):
        (clips / word).mkdir()
        for speaker in range(40):
            soundfile.write(clips / word / f"{speaker:08x}_nohash_0.wav", 0.1 * rng.standard_normal(12000), 16000)
    for kind, names in (("_silence_", "123"), ("_unknown_", ("cat_a_nohash_0", "owl_b_nohash_0", "no_c_nohash_0"))):
        (clips / "official_test_v2" / kind).mkdir(parents=True)
        for name in names:
            sound = 0.02 * rng.standard_normal(16000)
            soundfile.write(clips / "official_test_v2" / kind / f"{name}.wav", sound, 16000)
    (root / "two.yaml").write_text(RECIPE)
    (root / "four.yaml").write_text(FOUR)
    with pytest.MonkeyPatch.context() as patch:
        move_in(patch, root)
        with pytest.MonkeyPatch.context() as unseen:
            unseen.setattr(Run, "figure", lambda *_: None)  # nobody looks at its pictures
            assert command("train", "two.yaml", "--data", clips) == 0
        assert command("sweep", "four.yaml", "--data", clips) == 0
        yield root


@pytest.fixture
def run(laboratory, capsys):
    """A command: its exit status, and what it printed; as data where that is JSON."""

    def ended(*arguments, code=0):
        assert command(*arguments) == code
        said = capsys.readouterr()
        return said.err if code else json.loads(said.out) if "json" in arguments else said.out

    return ended


def view(laboratory, name):
    store = open_store(laboratory / "mlruns")
    return store, store.find(name)


def test_the_run_has_the_rates_the_curve_and_where_the_clips_come_from(laboratory):
    store, found = view(laboratory, "four")
    assert found.metrics["decision threshold"] == 0.3
    for name in ("false accepts", "false accepts of trained words", "false accepts of new words", "false rejects"):
        assert 0 <= found.metrics[f"test {name} %"] <= 100
    assert {name for name in found.metrics if "threshold" in name or "false" in name} <= set(METRICS)
    assert store.download(found.id, "pictures/false accepts over false rejects.png").stat().st_size > 10_000
    logged = json.loads(store.download(found.id, "evaluation.json").read_text())
    assert logged["labels"] == LABELS
    assert any("1 more are of no, commands here" in note for note in logged["notes"])
    assert logged["decision"]["rates"]["false accepts"]["clips"] == 5
    assert np.sum(logged["confusion"]) == logged["examples"]  # of the four classes, by the largest output
    curve = logged["decision"]["curve"]
    assert curve[0]["threshold"] == 0
    assert curve[-1]["false accepts"] <= curve[0]["false accepts"]


def test_a_network_without_the_classes_is_as_before(laboratory, run):
    _, found = view(laboratory, "two")
    assert not [name for name in found.metrics if "threshold" in name or "false" in name]
    assert not {"decision", "notes"} & set(run("evaluate", "two", "--format", "json"))
    assert "no class of silence" in run("evaluate", "two", "--picture", "two.png", code=2)
    assert "false rejects" in run("evaluate", "two", "--threshold", "0.9")  # it may be asked all the same


def test_evaluate_says_what_the_run_logged_of_the_run_the_model_and_the_integers(laboratory, run):
    store, found = view(laboratory, "four")
    logged = json.loads(store.download(found.id, "evaluation.json").read_text())
    file, model = store.download(found.id, "network.hqn"), store.download(found.id, "model")
    assert load_network(file).description.rejection.threshold == 0.3
    assert load_network(file).description.rejection.unknown_words == ("cat",)
    for name in ("four", model, file):
        asked = run("evaluate", name, "--data", "clips", "--format", "json")
        assert asked["decision"] == logged["decision"], name
        assert asked["confusion"] == logged["confusion"], name
    said = run("evaluate", "four")
    assert "false accepts of new words" in said
    assert "commands here, and left out" in said


def test_a_threshold_is_chosen_on_validation_clips(laboratory, run):
    said = run("evaluate", "four", "--split", "validation", "--picture", "curve.png")
    assert "threshold   false accepts   false rejects" in said
    assert (laboratory / "curve.png").stat().st_size > 10_000
    found = run("evaluate", "four", "--threshold", "1", "--format", "json")
    assert found["decision"]["threshold"] == 1
    assert found["decision"]["rates"]["false rejects"]["percent"] == 100


@pytest.mark.parametrize("file", ["nowhere/curve.png", "curve.nonsense"])
def test_a_picture_that_cannot_be_written_is_one_plain_line(laboratory, run, file):
    said = run("evaluate", "four", "--picture", file, code=2)
    assert f"--picture {file}: " in said
    assert "Traceback" not in said


def test_the_classes_reach_the_image(laboratory, run, tmp_path):
    run("export", "four", "--out", tmp_path / "image")
    code = (tmp_path / "image" / "src" / "network.c").read_text()
    assert all(f'"{label}"' in code for label in LABELS)


def test_compare_counts_words_and_names_the_classes_besides(laboratory, run):
    assert "2 words: yes no; silence and unknown." in run("compare", "four", "--format", "markdown")


def test_a_run_is_the_same_whatever_the_threshold(laboratory, run):
    before = len(open_store(laboratory / "mlruns").runs())
    run("train", "four.yaml", "--data", "clips", "--set", "decision.threshold=0.9", "--resume")
    assert len(open_store(laboratory / "mlruns").runs()) == before
