"""The search: what it measures, chooses and writes, that it repeats nothing, and that no test clip is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MoveIn, Run, write_tones
from hypothesis import given
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.recipe.file import load_recipe
from hybridq.searching.axes import axes_of, settings_of
from hybridq.searching.plan_search import search_plans
from hybridq.searching.plan_space import RecipeSpace
from hybridq.searching.request import Request
from hybridq.settings.tree import Override
from hybridq.sweeps import Crew, Schedule, in_process
from hybridq.tracking import RunView, open_store

FLOAT = """
data: {{source: {folder}, words: ["yes", "no"]}}
model: {{name: dnn, units: [16, 16, 16]}}
training: {{epochs: 1, batch: 16}}
"""
NARROW = """
extends: float.yaml
start_from: float.yaml
precision: {"*": {outputs: 8-bit}, "dense*": binary, "dense_[23]": ternary, dense: 4-bit}
accounting: packed
"""
VALUES = """
extends: float.yaml
accounting: packed
search:
  model.units: {choices: [[4, 8], [8, 16], [512, 512]]}
  model.dropout: {range: [0, 0.5]}
  training.learning_rate: {log: [0.001, 0.004]}
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("tones") / "clips")


@pytest.fixture
def recipes(tmp_path: Path, clips: Path, move_in: MoveIn, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A float recipe, one with narrow layers that starts from it, one with a search section; the current folder."""
    move_in(monkeypatch, tmp_path)
    (tmp_path / "float.yaml").write_text(FLOAT.format(folder=json.dumps(str(clips))))
    (tmp_path / "narrow.yaml").write_text(NARROW)
    (tmp_path / "values.yaml").write_text(VALUES)
    return tmp_path


def trials() -> list[RunView]:
    return [view for view in open_store().runs() if view.trial]


def test_a_search_that_was_stopped_goes_on_and_its_winner_is_a_recipe(
    recipes: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(schedule: Schedule, crew: Crew) -> None:  # after the float network and two measurements
        left = iter(range(3))
        take = schedule.take
        monkeypatch.setattr(schedule, "take", lambda: take() if next(left, None) is not None else pause())
        in_process(schedule, crew)

    def pause() -> None:
        raise KeyboardInterrupt

    request = Request.of(Path("narrow.yaml"), (), Path("found.yaml"))
    with pytest.raises(KeyboardInterrupt):
        search_plans(open_store(), request, epochs=0, engine=stops)
    before = [view.id for view in trials()]
    assert len(before) == 2

    flash = RecipeSpace.of(request.recipe).flash({}) - 20  # no plan as it is
    search = ("search", "narrow.yaml", "--best", "1", "--tune-epochs", "0", "--format", "json")
    code, out, err = run(*search, "--flash", str(flash))
    assert code == 0, err
    found = json.loads(out)
    made = trials()
    assert [view.id for view in made[:2]] == before
    assert all("test accuracy %" not in view.metrics for view in made)
    table = found["sensitivity"]
    assert [(one["layer"], one["precision"]) for one in table["changes"]] == [
        ("dense_2", "binary"),
        ("dense_3", "binary"),
    ]  # a narrower last layer, `dense`, would save nothing: it is very small
    assert len(made) == 3 + 2  # as it is and two changes; then as it is and the best, trained as the recipe says
    assert found["plans"][0]["code"] == "btt4"
    totals = json.loads(run("profile", "found.yaml", "--format", "json")[1])["totals"]
    assert totals["flash_bytes"] == found["best"]["flash_bytes"] <= flash
    written = load_recipe("found.yaml")
    assert written.parent
    assert written.parent.digest() == request.recipe.parent.digest()  # type: ignore[union-attr]
    pictures = open_store().download(found["run"], "pictures")
    assert {path.stem for path in pictures.iterdir()} == {"sensitivity", "accuracy over flash"}

    assert run(*search, "--flash", str(flash))[1] == out  # and makes no run again
    assert len(trials()) == len(made)
    code, out, _ = run(*search, "--drop", "100")  # with the same table
    assert json.loads(out)["best"]["code"] == "bbb4"  # the smallest there is
    assert len(trials()) <= len(made) + 1

    code, out, err = run("compare", "search narrow", "--pareto", "front.png")
    assert code == 0, err
    assert "validation" in out
    assert Path("front.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = run("compare", "--format", "json")
    assert [row["network"] for row in json.loads(out)["rows"]] == ["float"]  # the trials are no results


def test_trials_go_on_and_what_is_too_large_is_not_trained(recipes: Path, run: Run) -> None:
    search = ("search", "values.yaml", "--flash", "100KiB", "--epochs", "1", "--format", "json", "--out", "v.yaml")
    code, out, err = run(*search, "--trials", "1")
    assert code == 0, err
    first = [view.id for view in trials()]
    code, out, err = run(*search, "--trials", "2")
    assert code == 0, err
    found, made = json.loads(out), trials()
    assert [view.id for view in made][:1] == first
    assert len(made) == 2
    assert found["clips"] == "validation"
    assert all(view.metrics["flash KiB"] <= 100 for view in made)
    best = next(view for view in made if view.name == found["best"])
    assert best.metrics["validation accuracy best %"] == max(row["accuracy"] for row in found["rows"])
    written = load_recipe("v.yaml")
    assert list(written.model.units) == [int(n) for n in best.params["model.units"].split(",")]  # type: ignore[attr-defined]
    assert f"{written.training.learning_rate}" == best.params["training.learning_rate"]
    assert run(*search, "--trials", "2")[1] == out
    assert len(trials()) == 2


# --------------------------------------------------------------------------------------- the search section


class Draw:
    """Proposes at random, as a trial does."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))) if log else self.rng.uniform(low, high))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self.rng.integers(low, high + 1))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]


@given(seed=st.integers(0, 10_000))
def test_whatever_is_proposed_is_a_recipe_within_its_ranges(tmp_path_factory: Any, seed: int) -> None:
    path = tmp_path_factory.getbasetemp() / "axes.yaml"
    path.write_text(
        "search:\n"
        "  model.filters: {scale: [0.5, 1.5]}\n"
        "  model.dropout: {range: [0, 0.5]}\n"
        "  training.batch: {range: [8, 64]}\n"
        "  training.learning_rate: {log: [0.0005, 0.008]}\n"
        "  training.schedule: {choices: [cosine, step]}\n"
    )
    base = load_recipe(path)
    found: list[Override] = settings_of(axes_of(base), Draw(seed), base.name)
    recipe = load_recipe(path, (), found)
    filters = recipe.model.filters  # type: ignore[attr-defined]
    assert all(8 <= one <= 96 and one % 4 == 0 for one in filters)
    assert list(filters) == sorted(filters)
    assert 0 <= recipe.model.dropout <= 0.5  # type: ignore[attr-defined]
    assert 8 <= recipe.training.batch <= 64
    assert 0.0005 <= recipe.training.learning_rate <= 0.008
    assert recipe.training.schedule in ("cosine", "step")
    assert recipe.name.startswith("axes filters=[")


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("model.dropot: {range: [0, 1]}", "x.yaml:2: model.dropot: unknown key; did you mean 'dropout'?"),
        ("model.dropout: {range: [1, 0]}", "x.yaml:2: search.model.dropout.range: the lower value comes first"),
        ("model.dropout: {range: [0, 1], log: [1, 2]}", "must have one of range, log, scale, choices (has range, log)"),
        ("training.learning_rate: {log: [0, 1]}", "must be more than 0"),
        ("training.schedule: {range: [0, 1]}", "a range is for a number (is 'cosine')"),
        ("model.dropout: {scale: [1, 2]}", "scale is for whole numbers (is 0.2)"),
        ("model.dropout: {choices: []}", "x.yaml:2: search.model.dropout.choices: must have 1 values"),
        ("sweep: {choices: [1]}", "cannot be set here"),
    ],
)
def test_a_mistake_in_the_section_is_named_with_its_line(tmp_path: Path, axis: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"search:\n  {axis}\n")

    def proposed() -> None:
        recipe = load_recipe(path)
        load_recipe(path, (), settings_of(axes_of(recipe), Draw(0), recipe.name))

    with pytest.raises(UserError) as found:
        proposed()
    assert message in str(found.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["float.yaml"], "--flash 80KiB"),
        (["float.yaml", "--flash", "80KiB"], "name its recipe as start_from"),
        (["narrow.yaml", "--flash", "80 pieces"], "is not a size"),
        (["narrow.yaml", "--flash", "80KiB", "--macc", "many"], "is not a number of operations"),
        (["narrow.yaml", "--trials", "3"], "needs a search section"),
        (["narrow.yaml", "--trials", "3", "--drop", "1"], "--drop goes with precision plans; with --trials go --flash"),
        (["narrow.yaml", "--trials", "3", "--best", "4"], "--best goes with precision plans; with --trials go"),
        (
            ["narrow.yaml", "--flash", "80KiB", "--epochs", "1"],
            "--epochs goes with --trials or --space; with precision",
        ),
        (["narrow.yaml", "--flash", "80KiB", "--out", "float.yaml"], "not the work of a search"),
        (["narrow.yaml", "--flash", "80KiB", "--out", "no/where.yaml"], "there is no folder"),
        (["narrow.yaml", "--flash", "80KiB", "--set", "precision={'*': binary}"], "no layer can be narrower"),
    ],
)
def test_a_wrong_request_is_one_plain_line(recipes: Path, run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run("search", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) <= 2
    assert not Path("mlruns/mlflow.db").exists() or not open_store().runs()
