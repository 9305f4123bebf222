"""Sweeps: which runs are made, in which order, and what keeps an engine from making them."""

import json
import logging
import shutil
from pathlib import Path

import pytest
from conftest import write_tones
from hypothesis import given
from hypothesis import strategies as st

from hybridq import sweeps
from hybridq.errors import UserError
from hybridq.paths import locked
from hybridq.recipe.file import load_recipe
from hybridq.sweeps.events import Died, Failed, Finished
from hybridq.sweeps.schedule import MOST_DEATHS
from hybridq.sweeps.worker import Task, work
from hybridq.tracking import open_store

SMALL = """
data: {words: ["yes", "no"]}
model: {name: dnn, units: [4]}
training: {epochs: 2}
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_tones(tmp_path_factory.mktemp("tones") / "clips")


@pytest.fixture
def recipes(tmp_path, clips, move_in, monkeypatch):
    """A float recipe, a binary one that starts from it, in two variants, one that diverges, and one that is none."""
    move_in(monkeypatch, tmp_path)
    return write_recipes(tmp_path, clips)


def write_recipes(root: Path, clips: Path) -> Path:
    write(root / "float.yaml", SMALL.replace("data: {", f"data: {{source: {json.dumps(str(clips))}, "))
    write(
        root / "narrow.yaml",
        'extends: float.yaml\nstart_from: float.yaml\nprecision: {"dense*": binary}\n'
        "sweep:\n  training.learning_rate: [0.001, 0.002]\n",
    )
    write(root / "wild.yaml", "extends: float.yaml\ntraining: {learning_rate: 1.0e+30}\n")
    write(root / "wrong.yaml", "training: {epoch: 2}\n")
    return root


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def planned(root: Path, *names: str, seeds=()) -> sweeps.Plan:
    return sweeps.plan(*sweeps.read_recipes([root / f"{name}.yaml" for name in names], (), seeds))


def swept(plan: sweeps.Plan, engine=sweeps.in_process, resume=False) -> sweeps.Schedule:
    schedule = sweeps.Schedule(plan)
    sweeps.run_sweep(open_store(), schedule, lambda event: None, name="trial", engine=engine, resume=resume)
    return schedule


# ------------------------------------------------------------------------------------------------ planning


def test_a_grid_is_every_combination_and_a_list_what_it_names(recipes):
    grid = write(recipes / "grid.yaml", "sweep:\n  training.epochs: [1, 2]\n  model.padding: [same, valid]\n")
    jobs = planned(recipes, "grid").jobs
    assert [job.name for job in jobs] == [
        f"grid epochs={epochs} padding={padding}" for epochs in (1, 2) for padding in ("same", "valid")
    ]
    assert [job.recipe.training.epochs for job in jobs] == [1, 1, 2, 2]
    write(grid, "sweep:\n  - {name: one, training.epochs: 1}\n  - {training.epochs: 3, precision.dense: binary}\n")
    jobs = planned(recipes, "grid").jobs
    assert [job.name for job in jobs] == ["one", "grid epochs=3 dense=binary"]
    assert jobs[1].recipe.plan.to_data() == {"dense": {"weights": "binary"}}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{training.epoch: [1, 2]}", "epochs"),
        ("{training.epochs: 3}", "list of values"),
        ("{training.epochs: []}", "list of values"),
        ("{training.epochs: [1, -1]}", "training.epochs"),
        ("[3]", "mapping"),
        ("many", "mapping or a list"),
        ("{training.seed: [1], sweep: [1]}", "sweep"),
    ],
)
def test_a_mistake_in_the_section_is_named_with_its_line(recipes, section, message):
    write(recipes / "grid.yaml", f"\nsweep: {section}\n")
    plan = planned(recipes, "grid", "float")
    assert [job.name for job in plan.jobs] == ["float"]  # the others go on
    (reason,) = plan.refused.values()
    assert message in reason
    assert "grid.yaml:2" in reason


def test_a_grid_too_large_is_refused_before_it_is_made(recipes):
    keys = "\n".join(f"  training.k{i}: [{', '.join(map(str, range(20)))}]" for i in range(12))
    write(recipes / "grid.yaml", f"sweep:\n{keys}\n")
    with pytest.raises(UserError, match="at most 1,000 runs"):
        load_recipe(recipes / "grid.yaml")


def test_what_differs_in_nothing_but_the_name_is_run_once(recipes):
    write(recipes / "twin.yaml", "extends: float.yaml\nname: twin\ndescription: the same again\n")
    plan = planned(recipes, "float", "twin", "narrow")
    assert [job.name for job in plan.jobs] == ["float", "narrow learning_rate=0.001", "narrow learning_rate=0.002"]
    assert plan.equal == {"twin": "float"}
    assert [job.after for job in plan.jobs] == [(), (0,), (0,)]


def test_what_a_recipe_starts_from_comes_first_even_where_nobody_asked(recipes):
    plan = planned(recipes, "narrow", seeds=[0, 1])
    assert [(job.name, job.asked) for job in plan.jobs] == [
        ("float", False),
        ("narrow learning_rate=0.001", True),
        ("narrow learning_rate=0.002", True),
        ("float seed 1", False),
        ("narrow learning_rate=0.001 seed 1", True),
        ("narrow learning_rate=0.002 seed 1", True),
    ]
    listed = planned(recipes, "narrow", "float")
    assert all(job.asked for job in listed.jobs)


def test_a_recipe_of_many_runs_is_no_start(recipes):
    write(recipes / "after.yaml", "extends: float.yaml\nstart_from: narrow.yaml\n")
    assert "has a sweep section" in planned(recipes, "after").refused[str(recipes / "after.yaml")]


@given(fates=st.lists(st.sampled_from(["finished", "failed", "died"]), max_size=60), turns=st.randoms())
def test_whatever_happens_every_job_ends_once_and_none_before_what_it_needs(fates, turns):
    recipe = load_recipe(Path(__file__).parent.parent / "recipes" / "paper" / "fp32.yaml")
    after = [(), (0,), (0,), (1,), (), (4, 2)]
    plan = sweeps.Plan(tuple(sweeps.Job(i, recipe, needs, True) for i, needs in enumerate(after)))
    schedule, running = sweeps.Schedule(plan), []
    fates = iter(fates)
    while not schedule.over:
        while len(running) < 2 and (job := schedule.take()):
            assert all(schedule.entries[other].state is sweeps.State.FINISHED for other in job.after)
            assert job.number not in running
            running.append(job.number)
        number = running.pop(turns.randrange(len(running)))
        match next(fates, "finished"):
            case "finished":
                schedule.hear(Finished(number, f"run {number}", 50.0, {}))
            case "failed":
                schedule.hear(Failed(number, "the loss is no number", 1))
            case "died":
                schedule.hear(Died(number, "killed"))
    assert not running
    assert {entry.state for entry in schedule.entries} <= {sweeps.State.FINISHED, sweeps.State.FAILED}
    assert all(entry.reason for entry in schedule.entries if entry.state is sweeps.State.FAILED)
    assert all(entry.deaths <= MOST_DEATHS for entry in schedule.entries)


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path):
    file = tmp_path / "deep" / "a.lock"

    def refuse():
        raise UserError("taken")

    with locked(file), pytest.raises(UserError, match="taken"), locked(file, refuse):
        pass
    assert not file.exists()
    with locked(file, refuse):
        pass


# ------------------------------------------------------------------------------------------------ engines


def test_without_ray_its_engine_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'hybridq\[ray\]'"):
        sweeps.engine("ray", 2)


def test_a_sweep_that_is_running_is_not_run_twice(recipes):
    plan = planned(recipes, "float")
    with (
        locked(recipes / "mlruns" / "checkpoints" / f"sweep-{plan.key[:16]}.lock"),
        pytest.raises(UserError, match="running already"),
    ):
        swept(plan)


def test_a_machine_that_does_not_know_the_server_makes_no_store_of_its_own(recipes, monkeypatch):
    said = logging.getLogger("hybridq")  # which a worker, being a process of its own, takes for itself
    for name in ("handlers", "propagate", "level"):
        monkeypatch.setattr(said, name, getattr(said, name))
    (job,) = planned(recipes, "float").jobs
    shutil.rmtree(recipes / "mlruns")
    told = []
    work(Task(job.number, job.recipe.resolved(), None, None, False), told.append)
    assert [type(event) for event in told] == [Failed]
    assert "MLFLOW_TRACKING_URI is not set" in told[0].reason
    assert not (recipes / "mlruns").exists()
