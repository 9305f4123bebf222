"""What earlier versions have written is read: a store with its run, a model's folder, an integer network.

`files/earlier-store.tar.xz` was written before quantizers bore the names of their formats, by `hybridq train` of a
small DS-CNN whose layers have all formats that there were then, on forty synthetic tones.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridq.graph.reader import read_graph
from hybridq.integer.artefact import digest, load_network, save_network
from hybridq.recipe.file import load_recipe
from hybridq.runs.load_network import find_trained
from hybridq.runs.model_folder import load_bundle, weights_digest
from hybridq.tracking import open_store

STORE = Path(__file__).parent / "files" / "earlier-store.tar.xz"
NETWORK = "657caeac77af25899222d73b3449be99b5b4b28a86fe1811c429778b561fdcef"
FORMATS = {
    "conv2d": "8-bit",
    "block_1_depthwise": "4-bit",
    "block_1_pointwise": "ternary",
    "block_2_depthwise": "binary",
    "block_2_pointwise": "4-bit",
    "dense": "binary",
}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that store in it."""
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(STORE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def only(folder: Path, name: str) -> Path:
    (path,) = folder.rglob(name)
    return path


def test_the_store_and_its_run(earlier: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(earlier)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, table, _ = run("compare")
    assert code == 0
    assert "old" in table
    found = find_trained("old", open_store())
    assert found.integers is not None
    assert digest(found.integers) == NETWORK
    view = open_store().find("old")
    assert weights_digest(load_bundle(only(earlier, "model.keras").parent).model) == view.tags["weights.sha256"]
    recipe = load_recipe(open_store().download(view.id, "recipe.yaml"))
    assert {name: str(recipe.plan.of(name).weights) for name in FORMATS} == FORMATS


def test_the_model_of_its_folder(earlier: Path) -> None:
    folder = only(earlier, "model.keras").parent
    for source in (load_bundle(folder).model, folder / "model.keras"):
        graph = read_graph(source)
        assert {op.name: str(op.precision.weights) for op in graph.weighted if op.precision} == FORMATS
        assert all("fraction" in op.attributes for op in graph.operators if op.attributes.get("quantizer") == "Grid")


def test_the_integer_network(earlier: Path, tmp_path: Path) -> None:
    """The file, and the same network written again; it answers as the Keras model does, but for ties."""
    network = load_network(only(earlier, "network.hqn"))
    assert save_network(network, tmp_path / "again.hqn") == NETWORK
    trained = find_trained(str(only(earlier, "model.keras").parent))
    assert trained.integers is not None
    assert [layer.width for layer in trained.integers.layers if hasattr(layer, "width")] == [
        layer.width for layer in network.layers if hasattr(layer, "width")
    ]
    for mine, theirs in zip(trained.integers.layers, network.layers, strict=True):
        assert mine.shape == theirs.shape
        if hasattr(mine, "weights"):
            np.testing.assert_array_equal(mine.weights, theirs.weights)
