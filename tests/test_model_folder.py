"""The folder of a trained network: with sound as it ever was, and without."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Run

from hybridq.data.task import Task
from hybridq.errors import UserError
from hybridq.integer.artefact import NETWORK, save_network
from hybridq.precision import PrecisionPlan
from hybridq.quantization.model import quantize
from hybridq.runs.load_network import find_trained
from hybridq.runs.model_folder import ABOUT, load_bundle, save_bundle
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation

PLAN = {"*": {"weights": "8-bit", "outputs": "8-bit"}}
SOUND = FrontEnd(coefficients=2, frames=3), Normalisation((0.0,) * 2, (1.0,) * 2)


def model() -> Any:
    import keras

    inputs = keras.Input((2, 3, 1), name="input")
    x = keras.layers.Flatten(name="flatten")(inputs)
    return quantize(
        keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="dense")(x)), PrecisionPlan.from_data(PLAN)
    )


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network of three by two numbers, which answers with two."""
    folder = tmp_path_factory.mktemp("models") / "silent"
    save_bundle(folder, model(), (), None, None, {"name": "pump", "precision": PLAN}, task=Task.REGRESS)
    return folder


def test_of_sound_the_description_is_what_it_was(tmp_path: Path) -> None:
    bundle = save_bundle(tmp_path, model(), ("yes", "no"), *SOUND, {"name": "a"}, ("cat",))
    assert json.loads((tmp_path / ABOUT).read_text()) == {
        "schema": 1,
        "labels": ["yes", "no"],
        "unknown_words": ["cat"],
        "front_end": asdict(SOUND[0]),
        "normalisation": {"mean": [0.0, 0.0], "deviation": [1.0, 1.0]},
        "recipe": {"name": "a"},
        "model_sha256": bundle.digest,
    }
    assert load_bundle(tmp_path) == bundle
    assert bundle.description.task is None


def test_without_sound_there_is_its_task_and_no_front_end(silent: Path) -> None:
    about = json.loads((silent / ABOUT).read_text())
    assert about["task"] == "regress"
    assert about["labels"] == []
    assert not {"front_end", "normalisation"} & about.keys()
    bundle = load_bundle(silent)
    assert (bundle.task, bundle.labels, bundle.front_end, bundle.normalisation) == (Task.REGRESS, (), None, None)
    assert bundle.description.to_plain() == {"name": "pump", "model_sha256": bundle.digest, "task": "regress"}


def test_its_integers_are_made_or_read_beside_it(silent: Path, tmp_path: Path) -> None:
    made = find_trained(str(silent))
    assert made.integers
    assert made.integers.description.task is made.task is Task.REGRESS
    folder = tmp_path / "both"
    save_bundle(folder, model(), (), None, None, {}, task=Task.REGRESS)
    save_network(made.integers, folder / NETWORK)
    with pytest.raises(UserError, match=r"network.hqn: not made of the model beside it"):
        find_trained(str(folder))
    (folder / ABOUT).write_bytes((silent / ABOUT).read_bytes())
    (folder / "model.keras").write_bytes((silent / "model.keras").read_bytes())
    both = find_trained(str(folder))
    assert both.bundle
    assert both.integers
    assert find_trained(str(folder / NETWORK)).task is Task.REGRESS


@pytest.mark.parametrize(
    "change",
    [
        *({"task": "dance"}, {"task": ["regress"]}, {"front_end": asdict(SOUND[0])}, {"labels": None}),
        *(
            {"scaling": {"mean": [0.0] * 2}},
            {"scaling": {"mean": [0.0], "deviation": [0.0]}},
            {"scaling": {"middle": [1]}},
        ),
    ],
)
def test_a_description_that_cannot_be_is_refused(change: dict[str, Any], silent: Path, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes((silent / "model.keras").read_bytes())
    (tmp_path / ABOUT).write_text(json.dumps(json.loads((silent / ABOUT).read_text()) | change))
    with pytest.raises(UserError, match=f"{ABOUT}: not a readable description of a network"):
        load_bundle(tmp_path)


def test_samples_of_other_channels_than_it_was_standardised_by(silent: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes((silent / "model.keras").read_bytes())
    scaling = {"mean": [0.0] * 5, "deviation": [1.0] * 5}
    (tmp_path / ABOUT).write_text(json.dumps(json.loads((silent / ABOUT).read_text()) | {"scaling": scaling}))
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2, 3, 1)), y=np.zeros((4, 2)))
    code, out, err = run("evaluate", tmp_path, "--inputs", tmp_path / "a.npz:x", "--labels", tmp_path / "a.npz:y")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].endswith("inputs of 1 channels; they were standardised as 5")


@pytest.mark.parametrize("command", ["evaluate {} --data clips", "stream-eval {} --data clips", "listen --network {}"])
@pytest.mark.parametrize("of", ["", NETWORK])
def test_no_command_of_sound_takes_it(command: str, of: str, silent: Path, run: Run, inner: Path) -> None:
    (inner / "clips").mkdir()
    place = silent
    if of:
        place = inner / of
        integers = find_trained(str(silent)).integers
        assert integers
        save_network(integers, place)
    code, out, err = run(*command.format(place).split())
    assert (code, out) == (2, "")
    assert err == f"hybridq: {place}: this network has no front end, so it hears no sound\n"
