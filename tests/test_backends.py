"""Another Keras backend: a network trained on JAX is a run like others, says so, and gives the same answers here."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import answers

from hybridq.recipe.file import load_recipe
from hybridq.runs.model_folder import load_bundle
from hybridq.runs.sources import open_dataset
from hybridq.tracking import open_store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed (hybridq[jax])"),
]

RECIPES = {
    "float": 'data: {{source: {folder}, words: ["yes", "no"]}}\nmodel: {{name: dnn, units: [8, 8]}}\n'
    "training: {{epochs: 3, batch: 16, average: 0.9, learning_rate: 0.01}}\n",
    "narrow": "extends: float.yaml\nstart_from: float.yaml\n"
    'precision: {{"*": {{weights: 8-bit, outputs: 8-bit}}, dense_1: binary}}\n'
    "training: {{epochs: 2, latent_clip: [4, 2], bfloat16: true}}\n",
}


def test_a_network_trained_on_jax_is_a_run_like_others(folder, move_in, tmp_path, monkeypatch):
    move_in(monkeypatch, tmp_path)
    for name, text in RECIPES.items():
        (tmp_path / f"{name}.yaml").write_text(text.format(folder=folder))
    command = [sys.executable, "-m", "hybridq", "train", "narrow.yaml"]
    jax = {**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # it compiles less
    done = subprocess.run(command, cwd=tmp_path, env=jax, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "oneDNN" not in done.stderr  # Keras imports TensorFlow all the same, and it says nothing
    assert "Trained with Keras on jax: narrow." in done.stdout

    store = open_store(tmp_path / "mlruns", make=False)
    run = store.find("narrow")
    assert run.tags["backend"] == "jax"
    assert run.tags["version.jax"]
    inputs, labels = open_dataset(load_recipe(tmp_path / "narrow.yaml")).inputs("validation")
    right = answers(load_bundle(store.download(run.id, "model")).model, inputs)[np.arange(len(labels)), labels]
    entropy = -np.log(right).mean()
    assert run.metrics["validation cross-entropy"] == pytest.approx(entropy, rel=1e-4)
