"""Trained networks from a stranger, as a folder or a file: refused before anything of them runs, in plain words."""

from __future__ import annotations

import hashlib
import json
import os
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from stranger_files import archive, description, edited

from hybridq.errors import UserError
from hybridq.graph.instead import no_lambda
from hybridq.runs.load_network import Trained
from hybridq.runs.model_folder import load_bundle
from hybridq.speech.mfcc import FrontEnd
from hybridq.speech.normalisation import Normalisation
from hybridq.streaming.rule import settings_of

LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAAAAAAAAA=", "defaults": None, "closure": None}}
POPEN = {"module": "subprocess", "class_name": "Popen", "registered_name": None, "config": {"args": ["touch", "ran"]}}
ABOUT: dict[str, Any] = {
    "schema": 1,
    "labels": ["yes", "no", "on"],
    "unknown_words": [],
    "front_end": asdict(FrontEnd(coefficients=12, frames=10)),
    "normalisation": asdict(Normalisation((0.0,) * 12, (1.0,) * 12)),
    "recipe": {
        "name": "a",
        "data": {"source": "v0.02"},
        "decision": {"threshold": 0.5},
        "precision": {"dense": "8-bit"},
    },
}


def bundle_of(folder: Path, saved: dict[str, Any]) -> Path:
    """The folder of a trained network whose model says this of itself; the digest is that of the file."""
    folder.mkdir(exist_ok=True)
    model = archive(folder / "model.keras", json.dumps(saved).encode())
    about = {**ABOUT, "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    (folder / "hybridq.json").write_text(json.dumps(about))
    return folder


def with_layer(**changed: Any) -> dict[str, Any]:
    saved = description()
    saved["config"]["layers"][-2] |= changed  # the layer "dense"
    return saved


def dense(**settings: Any) -> dict[str, Any]:
    return with_layer(config={**description()["config"]["layers"][-2]["config"], **settings})


FOREIGN = {
    "Lambda": with_layer(class_name="Lambda", config={"name": "dense", "function": LAMBDA}),
    "lambda": dense(activation=LAMBDA),
    "TFSMLayer": with_layer(class_name="TFSMLayer", config={"name": "dense", "filepath": "elsewhere"}),
    "evil.Evil": with_layer(class_name="Evil", module="evil", registered_name="Custom>Evil"),
    "subprocess.Popen": dense(kernel_initializer=POPEN),
    "os.system": dense(activation={"class_name": "function", "module": "os", "config": "system"}),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("command", ["evaluate", "stream-eval", "export --out image"])
def test_a_layer_that_is_code_is_named_and_not_run(command: str, what: str, inner: Path, run: Run) -> None:
    (inner / "evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    bundle_of(inner / "mine", FOREIGN[what])
    said = f"layer 'dense' holds code, {what}, and hybridq runs none that comes with a model"
    said = no_lambda("dense") if what == "Lambda" else said
    assert run(*command.split(), "mine") == (2, "", f"hybridq: mine/model.keras: {said}\n")
    assert not (inner / "ran").exists()


@pytest.mark.parametrize(
    "saved", [dense(units="many"), dense(units=7), with_layer(class_name="Evil"), {"class_name": []}]
)
def test_what_keras_cannot_build_is_said_in_one_line(saved: dict[str, Any], inner: Path, run: Run) -> None:
    code, out, err = run("evaluate", bundle_of(inner / "mine", saved))
    assert (code, out) == (2, "")
    assert err.startswith(f"hybridq: {inner}/mine/model.keras: Keras cannot build the model (")
    assert err.count("\n") == 1
    assert "safe_mode" not in err


def test_no_description_of_a_network_brings_the_reader_down(inner: Path) -> None:
    folder = bundle_of(inner / "mine", description())
    sound = json.loads((folder / "hybridq.json").read_text())
    rng, refused = random.Random(4), 0
    assert load_bundle(folder).labels == ("yes", "no", "on")
    for _ in range(200):
        (folder / "hybridq.json").write_bytes(edited(sound, rng))
        try:
            bundle = load_bundle(folder)
            assert bundle.description.labels == bundle.labels
            settings_of(Trained("mine", bundle))
        except UserError:
            refused += 1
    assert 50 < refused < 150


@pytest.mark.parametrize("name", ["pipe.hqn", "pipe.keras", "pipe.h5", "pipe.tflite", "folder"])
@pytest.mark.parametrize("command", ["evaluate", "profile", "export --out image"])
def test_a_model_that_is_a_pipe_is_refused_at_once(command: str, name: str, inner: Path, run: Run) -> None:
    """Nobody writes into it: to wait for its first byte would be for ever."""
    (inner / "folder").mkdir()
    (inner / "folder" / "hybridq.json").write_text("{}")
    for pipe in (name, "folder/model.keras", "folder/network.hqn"):
        if not (inner / pipe).exists():
            os.mkfifo(inner / pipe)
    code, out, err = run(*command.split(), name)
    assert (code, out) == (2, "")
    assert name in err


@pytest.mark.parametrize(
    "command", ["search a.yaml --flash 80KiB --out pipe.yaml", "evaluate pretrained:best-16k --picture pipe.png"]
)
def test_so_is_one_that_is_to_be_written(command: str, inner: Path, run: Run) -> None:
    name = command.split()[-1]
    os.mkfifo(inner / name)
    (inner / "a.yaml").write_text("name: a\n")
    code, out, err = run(*command.split())
    assert code in (2, 3)
    assert out == ""
    assert name in err
