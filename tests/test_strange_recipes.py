"""Recipes from a stranger: what is no file is not waited for, nothing takes long, nothing of another file is shown."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, Run, Write
from effort import within

from hybridq import sweeps
from hybridq.errors import UserError
from hybridq.graph.reader import read_graph
from hybridq.models import build_model, outline
from hybridq.models.config import (
    BCResNetConfig,
    LMUConfig,
    NetworkConfig,
    ReferenceConfig,
    SVDFConfig,
    TCResNetConfig,
    TENetConfig,
)
from hybridq.recipe import file, tree, variants
from hybridq.recipe.file import load_recipe, load_variants
from hybridq.runs.experiment import check_ready
from hybridq.settings import yamlfile
from hybridq.settings.yamlfile import to_yaml

PLAN = REPOSITORY / "recipes" / "paper" / "fp32.yaml"


def refusal(read: Callable[[], Any], lines: int = 1_000_000) -> str:
    """What a user is told, after no more than so many lines of Python."""

    def told() -> str:
        with pytest.raises(UserError) as caught:
            read()
        return str(caught.value)

    return within(told, lines)


# ------------------------------------------------------------------------------------- what is no file


@pytest.fixture
def strange(inner: Path) -> Path:
    """The current folder, with a pipe into which nobody writes and a device that never ends."""
    os.mkfifo(inner / "pipe.yaml")
    (inner / "device.yaml").symlink_to("/dev/zero")
    return inner


@pytest.mark.parametrize("name", ["pipe.yaml", "device.yaml"])
@pytest.mark.parametrize("command", ["train", "profile", "sweep", f"profile {PLAN} --plan"])
def test_a_pipe_or_a_device_is_refused_at_once(command: str, name: str, strange: Path, run: Run) -> None:
    assert run(*command.split(), name) == (2, "", f"hybridq: cannot read {name}: not a file\n")


@pytest.mark.parametrize("name", ["pipe.yaml", "device.yaml"])
@pytest.mark.parametrize("key", ["extends", "start_from", "teacher"])
def test_so_is_one_that_a_recipe_names(key: str, name: str, strange: Path) -> None:
    (strange / "a.yaml").write_text(f"name: a\n{key}: {name}\n")
    assert refusal(lambda: load_recipe("a.yaml")) == f"a.yaml:2: {key}: cannot read {name}: not a file"


# ---------------------------------------------------------------------------------------- what is large


@pytest.mark.parametrize(
    "text", ["[" * 150_000, "{" * 150_000, "- " * 90_000, "[\n" * 90_000], ids=lambda t: repr(t[:2])
)
def test_endless_brackets_are_read_no_further_than_they_may_nest(text: str, write: Write) -> None:
    path = write(text)
    assert refusal(lambda: load_recipe(path), 100_000).endswith(": nested too deeply")


def test_brackets_in_a_text_or_a_comment_do_not_count(write: Write) -> None:
    text = "[{" * 500
    recipe = load_recipe(write(f"description: '{text}'  # {text}\ndata:\n  words: [yes, \"{text[:90]}\"]\n"))
    assert (recipe.description, recipe.data.words) == (text, ("yes", text[:90]))


@pytest.mark.parametrize(
    "text", ["a: [" + "1," * 60_000 + "]", "k: 1\n" * 15_000, "- &a x\n" * 15_000], ids=lambda t: t[:3]
)
def test_a_file_is_read_no_further_than_to_the_most_values(
    text: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yamlfile, "MOST_VALUES", 100)
    path = write(text)
    warnings.simplefilter("error")  # the parser warns of a name that is given twice, in four lines for each
    assert "that is no recipe" in refusal(lambda: load_recipe(path))


def test_all_files_of_a_recipe_together_have_a_bound(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MOST_READ", 300)
    for i in range(9):
        write("name: a\nprecision:\n" + "".join(f"  layer_{j}: 8-bit\n" for j in range(50)), f"{i}.yaml")
    path = write(f"name: a\nteacher: [{', '.join(f'{i}.yaml' for i in range(9))}]\n")
    told = refusal(lambda: load_recipe(path))
    assert told.startswith(f"{path}:2: teacher: with ")
    assert told.endswith("there are more than 300 values; that is no recipe")


def test_of_many_faults_some_are_explained(write: Write) -> None:
    path = write("name: a\n" + "".join(f"epochs{i}: 1\n" for i in range(200)))
    told = refusal(lambda: load_recipe(path), 700_000)
    assert [line.split(" (")[0] for line in told.splitlines()] == [
        f"{path}:{i + 2}: epochs{i}: unknown key" for i in range(2)
    ]


# ------------------------------------------------------------------------------------- what leads to much


def test_a_file_that_many_recipes_name_is_read_once(write: Write) -> None:
    write("name: teacher\n" + "# prose\n" * 1000, "teacher.yaml")
    path = write("name: a\nteacher: teacher.yaml\nsweep:\n  training.epochs: [" + ", ".join("9" * 60) + "]\n")
    assert len(within(lambda: load_variants(path), 600_000)) == 60


def test_a_chain_of_files_has_an_end(write: Write) -> None:
    """As many may follow each other as make a recipe that can be written out whole, and read again."""
    write("training: {augment: {gain_db: [1, 2]}}\n", "0.yaml")
    for key in ("extends", "start_from", "teacher"):
        for i in range(1, 30):
            name = f"[{i - 1}.yaml, {{recipe: 0.yaml, seeds: [1]}}]" if key == "teacher" else f"{i - 1}.yaml"
            path = write(f"{key}: {name}\n", f"{i}.yaml")
        last = path.with_name(f"{29 - tree.LONGEST_CHAIN}.yaml")
        said = f"{last}:1: {key}: more than 8 files in a row, each named by the one before"
        assert refusal(lambda: load_recipe(path)) == said  # noqa: B023
        deepest = load_recipe(path.with_name(f"{tree.LONGEST_CHAIN}.yaml"))
        assert load_recipe(write(to_yaml(deepest.resolved()), "whole.yaml")).digest() == deepest.digest()


def test_a_few_short_files_may_not_name_thousands_of_recipes(write: Write) -> None:
    write("name: a\n", "0.yaml")
    for i in range(1, 9):
        path = write(f"teacher: [{i - 1}.yaml, {i - 1}.yaml]\n", f"{i}.yaml")
    assert len(load_recipe(path.with_name("5.yaml")).needed) == 62
    seeds = write(f"teacher: {{recipe: 0.yaml, seeds: [{', '.join(map(str, range(300)))}]}}\n", "seeds.yaml")
    for many in (path, seeds):
        assert "teacher: more than 100 recipes would have to be trained first" in refusal(lambda: load_recipe(many))  # noqa: B023


def test_a_sweep_has_no_more_runs_than_a_person_can_wait_for(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "MOST_RUNS", 10)
    monkeypatch.setattr(file, "MOST_OF_A_SWEEP", 12)
    path = write("name: a\nsweep:\n" + "  - {training.epochs: 3}\n" * 11)
    assert refusal(lambda: load_variants(path)) == f"{path}:2: sweep: 11 runs; at most 10 runs"
    write("name: t\n", "t.yaml")
    path = write("teacher: {recipe: t.yaml, seeds: [0, 1]}\nsweep:\n" + "  - {training.epochs: 3}\n" * 7)
    assert (
        refusal(lambda: load_variants(path))
        == f"{path}:2: sweep: its runs need more than 12 recipes to be trained first"
    )


# ----------------------------------------------------------------------------------- what is not for all eyes

SECRETS = [
    "root:x:0:0:root:/root\nbin:x:1:1:bin\n",
    "[default]\nkey = s3cret\n",
    "k: *s3cret\n",
    "!s3cret a: 1\n",
    "- s3cret\n",
]


@pytest.mark.parametrize("key", ["extends", "start_from", "teacher"])
@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_is_shown_of_a_file_that_is_no_recipe(secret: str, key: str, inner: Path) -> None:
    (inner.parent / "passwd").write_text(secret)
    (inner / "a.yaml").write_text(f"{key}: ../passwd\n")
    assert refusal(lambda: load_recipe("a.yaml")) in (
        "../passwd:1: must be a mapping, 'key: value' on each line",
        "../passwd:1: cannot be read as a recipe",
        "../passwd:2: cannot be read as a recipe",
    )


# --------------------------------------------------------------------- what is said before anything is imported


@pytest.fixture
def nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of what takes seconds is an error."""
    for package in ("tensorflow", "keras", "qkeras", "mlflow"):
        monkeypatch.setitem(sys.modules, package, None)


BEGINNINGS = ("train", "sweep", "search --flash 80KiB", "search --trials 3", "search --space hello-edge --class S")


@pytest.mark.usefixtures("nothing_heavy")
@pytest.mark.parametrize("command", BEGINNINGS)
def test_clips_that_are_not_there_are_missed_at_once(command: str, inner: Path, run: Run) -> None:
    (inner / "base.yaml").write_text("data:\n  source: gone\n")
    (inner / "a.yaml").write_text("extends: base.yaml\n")
    told = f"{inner}/gone: no such folder. A data folder holds"
    code, out, err = run(*command.split(), "a.yaml")
    assert (code, out) == (2, "")
    assert err.startswith(f"hybridq: base.yaml:2: data.source: {told}")
    _, _, err = run(*command.split(), "a.yaml", "--data", inner / "gone")
    assert err.startswith(f"hybridq: {told}")  # the place would say the same again
    (inner / "b.yaml").write_text("start_from: a.yaml\ndata: {source: .}\n")
    assert run(*command.split(), "b.yaml")[2].startswith(f"hybridq: base.yaml:2: data.source: {told}")
    assert sorted(path.name for path in inner.iterdir()) == ["a.yaml", "b.yaml", "base.yaml"]


@pytest.mark.usefixtures("nothing_heavy")
@pytest.mark.parametrize("command", ["profile", *BEGINNINGS])
def test_a_precision_of_no_layer_is_seen_at_once(command: str, inner: Path, run: Run) -> None:
    (inner / "a.yaml").write_text("name: a\nprecision:\n  'conv*': 8-bit\n  'dens_*': binary\n")
    told = "the pattern 'dens_*' matches no layer; the nearest layer is 'dense"
    code, out, err = run(*command.split(), "a.yaml")
    assert (code, out) == (2, "")
    assert err.startswith(f"hybridq: a.yaml:4: precision: {told}")


def test_the_other_runs_of_a_sweep_go_on(inner: Path) -> None:
    (inner / "a.yaml").write_text("sweep:\n  data.source: [., gone, synthetic]\n")
    plan = sweeps.plan(*sweeps.read_recipes([Path("a.yaml")]), check_ready)
    assert [job.name for job in plan.jobs] == ["a source=", "a source=synthetic"]
    ((name, reason),) = plan.refused.items()
    assert name == "a source=gone"
    assert reason.startswith(f"a.yaml:2: data.source: {inner}/gone: no such folder")


@pytest.mark.usefixtures("nothing_heavy")
def test_the_largest_network_costs_what_its_shapes_say(inner: Path, run: Run) -> None:
    """Found: with its weights it took 2.9 GB."""
    (inner / "a.yaml").write_text("model: {filters: [4096, 4096, 4096, 4096, 4096, 4096]}\n")
    code, out, err = run("profile", "a.yaml", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["totals"]["parameters"] == 758_203_146


ON_PAPER = [
    ReferenceConfig(activation="swish"),
    TCResNetConfig(channels=(4, 4, 8)),
    TENetConfig(channels=(8, 8), blocks=(2, 1)),
    BCResNetConfig(),
    SVDFConfig(),
    LMUConfig(),
]


@pytest.mark.parametrize("config", ON_PAPER, ids=lambda config: config.name)
def test_on_paper_a_network_is_the_one_that_keras_builds(config: NetworkConfig) -> None:
    """Its operators to the last setting, and their order, by which memory is planned; the others: test_space.py."""
    assert outline(config, (40, 98), 3) == read_graph(build_model(config, (40, 98), 3))
