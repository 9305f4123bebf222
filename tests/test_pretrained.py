"""The networks that come with the package: whole, as they are described, and taken wherever a network is."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import command

from hybridq.errors import UserError
from hybridq.integer.artefact import digest
from hybridq.pretrained import FOLDER, PREFIX, networks, pretrained_file
from hybridq.profiler import profile
from hybridq.recipe.file import load_recipe
from hybridq.runs.experiment import graph_of
from hybridq.runs.load_network import find_trained
from hybridq.runs.measurement import measured_on

NAMES = sorted(networks())
MEGABYTES = 2  # of all of them together
BEST = Path(__file__).resolve().parent.parent / "recipes" / "best"
MOST_MACC = 80_000_000 / 10 / 3.4  # of an inference: ten a second at 80 MHz and 3.4 cycles for each


def test_they_are_described_and_small():
    files = {path.stem for path in FOLDER.glob("*.hqn")}
    assert files == {path.stem for path in FOLDER.glob("*.yaml")} == set(NAMES) != set()
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < MEGABYTES * 10**6


@pytest.mark.parametrize("name", NAMES)
def test_each_is_what_its_description_says(name):
    trained = find_trained(PREFIX + name)
    assert trained.integers is not None
    assert digest(trained.integers) == networks()[name]["sha256"]
    recipe = load_recipe(FOLDER / f"{name}.yaml")
    end, _, labels = trained.hears
    assert recipe.name == networks()[name]["recipe"]
    assert [word for word in labels if not word.startswith("_")] == list(recipe.data.words)
    assert end.shape == (recipe.features.coefficients, recipe.features.frames)


@pytest.mark.parametrize("file", sorted(BEST.glob("best-*.yaml")), ids=lambda file: file.stem)
def test_a_best_recipe_keeps_within_the_flash_of_its_name_and_ten_decisions_a_second(file: Path):
    recipe = load_recipe(file)
    found = profile(graph_of(recipe), plan=recipe.plan, accounting=recipe.accounting).to_json()["totals"]
    assert found["flash_bytes"] <= int(file.stem.split("-")[1].removesuffix("k")) * 1024
    assert found["macc"] <= MOST_MACC


@pytest.mark.parametrize("name", NAMES)
def test_each_scores_what_its_description_says(name, gsc):
    found = measured_on(find_trained(PREFIX + name), str(gsc), "test")
    assert found.result.accuracy == pytest.approx(networks()[name]["accuracy"], abs=0.1)


def test_one_is_exported_by_its_name(tmp_path: Path):
    assert command("export", PREFIX + NAMES[0], "--out", tmp_path / "image") == 0
    assert (tmp_path / "image" / "network.hqn").read_bytes() == pretrained_file(NAMES[0]).read_bytes()


def test_an_unknown_name_is_answered_with_those_that_there_are():
    with pytest.raises(UserError, match=f"there are .*{PREFIX}{NAMES[0]}"):
        find_trained("pretrained:best-1k")
