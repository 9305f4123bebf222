"""The search in the space of Hello Edge's networks: their sizes, the limits, what is trained how long, going on."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import MoveIn, Run, write_tones
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.models import build_model, outline
from hybridq.models.config import CONFIGS
from hybridq.profiler.closed_forms import size_of
from hybridq.profiler.hello_edge import size
from hybridq.profiler.targets import target
from hybridq.recipe.file import load_recipe
from hybridq.searching.networks import FAMILIES, Sample, draw, limits_of, sample, shares
from hybridq.searching.successive_halving import _Stopper, rungs_of
from hybridq.speech.settings import FeatureSettings
from hybridq.tracking import RunView, open_store
from hybridq.training.history import Epoch

ZOO = Path(__file__).resolve().parent.parent / "recipes" / "zoo" / "hello-edge"
LIMITS = ("S", "M", "L", "stm32l496", "stm32f746")

# ------------------------------------------------------------------------------------------------- sizes


@settings(max_examples=30)
@given(
    family=st.sampled_from(list(FAMILIES)),
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 44), st.integers(1, 60)),
    classes=st.integers(2, 20),
)
def test_the_closed_forms_are_the_sizes_of_the_built_networks(
    family: str, seed: int, shape: tuple[int, int], classes: int
) -> None:
    """On features of odd shapes, too: strides leave remainders, maps shrink to nothing."""
    network = draw(random.Random(seed), family, FeatureSettings(), classes)
    assume(network)
    assert network
    config = CONFIGS[network.model["name"]](**network.model)
    try:
        built = build_model(config, shape, classes)
    except UserError as error:
        with pytest.raises(UserError, match=f"^{re.escape(str(error))}$"):
            size_of(config, shape, classes)
        with pytest.raises(UserError, match=f"^{re.escape(str(error))}$"):
            outline(config, shape, classes)
    else:
        assert size_of(config, shape, classes) == size(built)
        assert outline(config, shape, classes) == read_graph(built)


# ------------------------------------------------------------------------------------------- limits, sampling


@settings(max_examples=40)
@given(
    name=st.sampled_from(LIMITS),
    families=st.lists(st.sampled_from(list(FAMILIES)), min_size=1, max_size=3, unique=True),
    count=st.integers(1, 12),
    seed=st.integers(0, 10**6),
)
def test_a_sample_is_within_its_limits_and_more_of_it_begins_with_the_same(
    name: str, families: list[str], count: int, seed: int
) -> None:
    limits = limits_of(name)
    some = sample(families, FeatureSettings(), 12, limits, count, seed)
    assert len(some.networks) == count
    assert some.drawn == count + sum(some.dropped.values())
    for network in some.networks:
        taken = shares(network.size, limits)
        assert max(taken.values()) <= 1
        assert max(taken.values()) >= 0.5
    assert len({network.name for network in some.networks}) == count
    assert [network.family for network in some.networks] == [families[at % len(families)] for at in range(count)]
    more = sample(families, FeatureSettings(), 12, limits, count + 3, seed)
    assert more.networks[:count] == some.networks


def test_the_classes_are_those_of_the_paper_and_a_board_decides_ten_times_a_second() -> None:
    for letter, name, memory, operations in (
        ("S", "small", 80, 6),
        ("m", "medium", 200, 20),
        ("L", "large", 500, 80),
    ):
        limits = limits_of(letter)
        assert (limits.name, limits.memory_bytes, limits.operations) == (
            f"hello-edge-{name}",
            memory * 1000,
            operations * 10**6,
        )
    board = limits_of("stm32l496")
    assert (board.flash_bytes, board.ram_bytes) == (1024 * 1024, 320 * 1024)
    assert board.operations == 2 * int(80e6 / 10 / 3.39)  # 8 million cycles, 3.39 a MACC
    assert target("stm32l496").operations is None


def test_the_ranges_hold_the_printed_networks() -> None:
    """Each size of the paper lies between the least and the most that may be drawn."""
    for path in sorted(ZOO.glob("*.yaml")):
        family = path.stem.rpartition("_")[0]
        printed = load_recipe(path).model.model_dump()
        for axis in FAMILIES[family]:
            for key in axis[0]:
                choices = [one[key] for one in axis]
                if key != "name":
                    assert min(choices) <= printed[key] <= max(choices), (path.stem, key)


def test_of_a_network_that_is_too_large_it_is_said_why() -> None:
    found = sample(["ds_cnn"], FeatureSettings(), 12, limits_of("S"), 20, 0)
    assert {"over the memory", "over the operations", "under 50% of every limit"} <= set(found.dropped)
    assert f"{found.dropped['over the memory']} over the memory" in found.summary()
    assert Sample(drawn=1_234).summary() == "1,234 networks drawn; 0 to train"


@given(epochs=st.integers(1, 1_000))
def test_the_rungs_are_a_ninth_and_a_third_of_the_epochs(epochs: int) -> None:
    rungs = rungs_of(epochs)
    assert list(rungs) == sorted(set(rungs))
    assert all(1 <= rung < epochs for rung in rungs)
    if epochs >= 9:
        assert rungs == (epochs // 9, 3 * (epochs // 9))


# ------------------------------------------------------------------------------------------------- training

BASE = """
data: {{source: {folder}, words: ["yes", "no"]}}
model: {{name: ds_cnn}}
training: {{epochs: 4, batch: 32, average: 0.5, learning_rate: 0.0005}}
published: {{label: somebody's, accuracy: 99}}
accounting: packed
"""
SEARCH = ("search", "base.yaml", "--space", "hello-edge", "--class", "S", "--family", "dnn,cnn", "--trials", "3")
JSON = (*SEARCH, "--format", "json")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("tones") / "clips")


@pytest.fixture
def base(tmp_path: Path, clips: Path, move_in: MoveIn, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe whose data and training the networks get; the current folder."""
    move_in(monkeypatch, tmp_path)
    path = tmp_path / "base.yaml"
    path.write_text(BASE.format(folder=json.dumps(str(clips))))
    return path


def trials() -> list[RunView]:
    return [view for view in open_store().runs() if view.trial]


def found(out: str) -> dict[str, Any]:
    """What a search prints, without what differs from one store to another."""
    said: dict[str, Any] = json.loads(out)
    for one in (said, said["best"], *said["networks"]):
        del one["run"]
    return said


def test_a_search_stops_the_worst_writes_the_best_and_goes_on_from_wherever_it_was_interrupted(
    base: Path, run: Run, move_in: MoveIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(*JSON)
    assert code == 0, err
    result, made = json.loads(out), trials()
    assert len(result["networks"]) == len(made) == 3
    by_run = {view.id: view for view in made}
    for one in result["networks"]:
        view = by_run[one["run"]]
        epochs = open_store().history(view.id, "validation loss")
        assert len(epochs) == one["epochs"] == (1 if one["stopped"] else 4)
        assert ("stopped" in view.tags) == one["stopped"]
        assert view.metrics["validation accuracy best %"] == pytest.approx(one["accuracy"])
        assert "test accuracy %" not in view.metrics
    stopped = [one["stopped"] for one in result["networks"]]
    assert True in stopped
    assert False in stopped
    assert [rung["epochs"] for rung in result["rungs"]] == [1, 3, 4]
    assert [rung["networks"] for rung in result["rungs"]] == [3, 3 - sum(stopped), 3 - sum(stopped)]
    assert result["best"]["accuracy"] == max(one["accuracy"] for one in result["networks"] if not one["stopped"])

    written = load_recipe("found.yaml")
    drawn = result["best"]["model"]
    assert json.loads(written.model.model_dump_json(include=set(drawn))) == drawn
    assert written.features.hop == result["best"]["features"]["hop"]
    assert (written.target, written.published) == ("hello-edge-small", None)
    pictures = open_store().download(result["run"], "pictures")
    assert [path.name for path in pictures.iterdir()] == ["accuracy over size.png"]
    told = run(*SEARCH)[1]  # and trains nothing again
    assert len(trials()) == 3
    assert f"{result['drawn']} networks drawn" in told
    assert "written to" in told

    move_in(monkeypatch, base.parent / "other")
    monkeypatch.setenv("HYBRIDQ_CACHE", str(base.parent / "cache"))
    asked, left = _Stopper.should_stop, ["before the word", "between rungs", "after the word to stop"]

    def interrupted(stopper: _Stopper, epochs: Sequence[Epoch], latest: Callable[[], float]) -> bool:
        def pause(now: bool, when: str) -> None:
            if now and when in left:
                left.remove(when)
                raise KeyboardInterrupt

        pause(len(epochs) == 1, "before the word")
        stop = asked(stopper, epochs, latest)
        pause(len(epochs) == 2, "between rungs")
        pause(stop, "after the word to stop")
        return stop

    monkeypatch.setattr(_Stopper, "should_stop", interrupted)
    for _ in range(3):
        code, _, err = run("search", "../base.yaml", *JSON[2:])
        assert (code, "the same command goes on" in err) == (130, True)
    code, again, _ = run("search", "../base.yaml", *JSON[2:])
    assert not left
    assert found(again) == found(out)
    assert len(trials()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "hello-edge"], "--class S, M, L or a board"),
        (["--space", "goodbye-edge", "--class", "S"], "there is hello-edge"),
        (["--space", "hello-edge", "--class", "XL"], "'XL' is not a known target"),
        (["--space", "hello-edge", "--class", "rp2040"], "no measurement of the cycles of a MACC on a Cortex-M0+"),
        (["--space", "hello-edge", "--class", "S", "--family", "dnn,mlp"], "'mlp' is not one of dnn, cnn"),
        (
            ["--space", "hello-edge", "--class", "S", "--flash", "1KiB"],
            "with --space go --class, --family, --trials, --epochs",
        ),
        (["--space", "hello-edge", "--class", "S", "--workers", "2"], "--workers goes with precision plans"),
        (["--space", "hello-edge", "--class", "S"], "name the recipe whose data and training"),
        (["base.yaml", "--space", "hello-edge", "--class", "S", "--set", "features.hop=99"], "features.hop: the space"),
        (["base.yaml", "--space", "hello-edge", "--class", "S", "--set", "precision={'*': 8-bit}"], "in float"),
        (["base.yaml", "--space", "hello-edge", "--class", "S", "--out", "base.yaml"], "not the work of a search"),
        (["base.yaml", "--class", "S", "--trials", "3"], "--class goes with --space; with --trials go"),
        (["--trials", "3"], "which? a recipe; or --space"),
    ],
)
def test_a_wrong_request_is_one_plain_line(base: Path, run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run("search", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) <= 2
    assert not Path("mlruns/mlflow.db").exists() or not open_store().runs()


def test_where_nothing_is_within_the_limits_it_is_said() -> None:
    limits = replace(limits_of("S"), operations=10)
    with pytest.raises(UserError, match=r"none of 20,000 networks of gru is within Hello Edge small"):
        sample(["gru"], FeatureSettings(), 12, limits, 3, 0)
