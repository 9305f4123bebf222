"""`hybridq train` and `sweep` as a user meets them: teachers, clips of any form, synthetic voices."""

import json

import numpy as np
import pytest
import soundfile

from hybridq.speech.audio import synthetic
from hybridq.tracking.run import Run


@pytest.fixture(autouse=True)
def home(move_in, monkeypatch, tmp_path):
    """Each test in a folder with an empty store."""
    move_in(monkeypatch, tmp_path)


@pytest.fixture
def no_pictures(monkeypatch):
    """Runs without the pictures that take long to draw; those of the quickstart are looked for."""
    monkeypatch.setattr(Run, "figure", lambda *_: None)


@pytest.mark.usefixtures("no_pictures")
def test_a_teacher_is_trained_first_on_clips_of_any_form_and_may_be_another_network(run, folder, tmp_path):
    soundfile.write(folder / "yes" / "abcdef01_nohash_0.wav", np.zeros((8000, 2)) + 0.1, 8000)
    code, out, _ = run("data", "check", "--data", folder)
    assert code == 0
    assert "note" in out
    code, out, _ = run("data", "info", "--data", folder)
    assert code == 0
    assert "yes" in out

    words = 'data: {words: ["yes", "no"]}\ntraining: {epochs: 1}\n'
    (tmp_path / "teacher.yaml").write_text(f"{words}model: {{name: dnn, units: [8]}}\n")
    small = "model: {name: dnn, units: [4, 4]}\n"
    (tmp_path / "pupil.yaml").write_text(f"{words}{small}teacher: teacher.yaml\nprecision: {{dense_1: binary}}\n")
    code, _, err = run("train", "pupil.yaml", "--data", folder)
    assert code == 0, err
    assert "1 of them were not mono at 16000 Hz" in err
    assert err.index("teacher epoch 1/1") < err.index("pupil epoch 1/1")
    rows = {row["network"] for row in json.loads(run("compare", "teacher", "pupil", "--format", "json")[1])["rows"]}
    assert rows == {"teacher", "pupil"}
    assert run("train", "pupil.yaml", "--data", folder, "--resume")[2].count("epoch 1/1") == 0

    # What a pupil learns from it is not looked at from here on: only the teachers are trained.
    both = "teacher={recipe: teacher.yaml, seeds: [0, 1]}"
    untrained = ("--data", folder, "--set", "training.epochs=0")
    code, _, err = run("sweep", "pupil.yaml", *untrained, "--set", both, "--seeds", "0,1")
    assert code == 0, err
    rows = json.loads(run("compare", "teacher", "pupil", "--format", "json")[1])["rows"]
    runs = {row["network"]: len(row["runs"]) for row in rows}  # no teacher is trained twice
    both = "pupil, teacher teacher (seeds 0, 1), epochs 0"
    assert runs == {"teacher": 2, "pupil, teacher teacher, epochs 1": 1, both: 2}

    code, _, err = run("train", "pupil.yaml", *untrained, "--set", "data.balance=false")
    assert code == 0, err
    assert "teacher epoch 1/1" in err  # settings of the data reach the teacher: it is trained anew
    (tmp_path / "teacher.yaml").write_text(f"{words}features: {{coefficients: 30}}\n")
    code, _, err = run("train", "pupil.yaml", "--data", folder)
    assert code == 2
    assert "needs the same features and the same data" in err


@pytest.mark.usefixtures("no_pictures")
def test_synthetic_voices_in_training_are_said_in_every_table(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "NOISE_SECONDS", 2)  # most of the work for few voices
    small = "training: {epochs: 1}\nmodel: {name: dnn, units: [4, 4]}\n"
    (tmp_path / "helped.yaml").write_text(f'{small}data: {{words: ["yes", "no"]}}\n')
    voices = ("--set", "training.synthetic_voices=3", "--set", "training.synthetic_share=0.5")
    assert run("train", "helped.yaml", "--data", folder, "--set", "training.epochs=0")[0] == 0
    code, _, err = run("train", "helped.yaml", "--data", folder, *voices)
    assert code == 0, err
    code, out, _ = run("compare", "helped", "--format", "json")
    found = json.loads(out)
    assert not found["synthetic"]  # it is a result all the same
    assert [row["helped"] for row in found["rows"]].count(True) == 1
    assert any(
        note.startswith("With synthetic voices in training, not in the test: helped, ") for note in found["notes"]
    )
