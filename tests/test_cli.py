"""The command line as a user meets it: help, mistakes, and the quickstart from beginning to end."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hybridq
from hybridq.errors import plain_interrupts
from hybridq.runs.log import EpochLog
from hybridq.tracking import open_store
from hybridq.tracking.run import Terminated

REPOSITORY = Path(__file__).resolve().parent.parent
PAPER = REPOSITORY / "recipes" / "paper"
QUICKSTART = REPOSITORY / "recipes" / "quickstart"


@pytest.fixture(autouse=True)
def home(move_in, monkeypatch, tmp_path):
    """Each test in a folder with an empty store."""
    move_in(monkeypatch, tmp_path)


def plain(err):
    """One or two lines, no traceback."""
    lines = err.strip().splitlines()
    return len(lines) <= 2 and "Traceback" not in err


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['hybridq', '--help']\n"
        "from hybridq import cli\ntry: cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'numpy', 'matplotlib', 'librosa', 'scipy', 'pydantic', 'ruamel'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("train", "sweep", "search", "compare", "profile", "evaluate", "ui", "data"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training:\n  epoch: 3\n", "bad.yaml:2: training.epoch: unknown key; did you mean 'epochs'?"),
        ("precision:\n  'dens_9*': binary\n", "the pattern 'dens_9*' matches no layer; the nearest layer is 'dense"),
        ("model:\n  padding: vald\n", "bad.yaml:2: model.padding"),
        ("target: stm32l469\n", "stm32l496"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_plain_line(run, tmp_path, text, message):
    (tmp_path / "bad.yaml").write_text(text)
    code, out, err = run("profile", "bad.yaml")
    assert (code, out) == (2, "")
    assert message in err
    assert plain(err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", PAPER / "fp32.yaml", "--data", "nowhere"], "no such folder"),
        (["train", "none.yaml"], "none.yaml"),
        (["evaluate", "nothing"], "no run"),
        (["evaluate", "nothing.keras"], "no trained network here"),
        (["profile", "nothing.keras"], "nothing.keras"),
        (["compare"], "no finished run"),
        (["sweep", "."], "no recipe"),
        (["sweep", QUICKSTART, "--seeds", "1,x"], "'x' is not a seed"),
        (["profile", PAPER / "fp32.yaml", "--set", "training.epochs=many"], "--set training.epochs=many"),
        (["data", "download", "v3"], "not one of v0.01, v0.02"),
        (["data", "info", "--data", "nowhere"], "no such folder"),
    ],
)
def test_a_wrong_argument_is_one_plain_line(run, arguments, message):
    code, _, err = run(*arguments)
    assert code == 2
    assert message in err
    assert plain(err)


@pytest.mark.parametrize("port", [0, 80_000])
def test_a_port_that_cannot_be_is_refused(port, run):
    code, out, err = run("ui", "--port", port)
    assert (code, out) == (2, "")
    assert "Invalid value for '--port'" in err


def test_debug_shows_the_traceback(run):
    _, _, err = run("train", "none.yaml", "--debug")
    assert "Traceback" in err


def test_clips_that_cannot_be_read_are_named_and_fail_the_run_alone(run, folder, tmp_path):
    broken = sorted((folder / "yes").iterdir())
    broken[0].write_bytes(broken[0].read_bytes()[:5000])
    code, _, err = run("train", PAPER / "fp32.yaml", "--data", folder, "--set", "training.epochs=1")
    assert code == 2
    assert broken[0].name in err
    code, out, _ = run("data", "check", "--data", folder)
    assert code == 1
    assert broken[0].name in out
    assert "1 faults" in out


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("empty folder", "the folder of the word 'maybe' holds no recording"),
        ("no folder", "no folder for the word 'maybe'"),
    ],
)
def test_a_word_that_cannot_be_trained_is_named(run, folder, damage, message):
    if damage == "empty folder":
        (folder / "maybe").mkdir()
    code, _, err = run("train", PAPER / "fp32.yaml", "--data", folder, "--set", "data.words=[yes, maybe]")
    assert code == 2
    assert message in err


def test_a_folder_that_cannot_be_written_is_said_at_once(run, folder, tmp_path):
    shutil.rmtree(tmp_path / "mlruns")
    (tmp_path / "mlruns").write_text("a file where the folder should be")
    code, _, err = run("train", PAPER / "fp32.yaml", "--data", folder)
    assert code == 3
    assert "mlruns" in err
    assert plain(err)


def test_ctrl_c_says_how_to_go_on(run, folder, tmp_path, monkeypatch):
    """In the midst of an epoch, in this process; `test_stream_commands.py` has one of its own that gets a Ctrl-C."""

    def interrupt(self, epoch, share):
        if epoch == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(EpochLog, "batch", interrupt)
    (tmp_path / "long.yaml").write_text("model: {name: dnn, units: [8, 4]}\ndata: {words: ['yes', 'no']}\n")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
    try:
        code, _, err = run("train", "long.yaml", "--data", folder, "--set", "training.epochs=200")
    finally:
        signal.signal(signal.SIGINT, before)
    assert "epoch 2/200" in err
    said = "hybridq: interrupted; the same command with --resume goes on from the last whole epoch"
    assert (code, err.splitlines()[-1]) == (130, said)
    assert open_store().find("long").status == "KILLED"


def test_an_interrupt_in_compiled_code_is_an_interrupt():
    with pytest.raises(Terminated), plain_interrupts():
        raise SystemError("<built-in method> returned a result with an exception set") from Terminated()
    with pytest.raises(SystemError), plain_interrupts():
        raise SystemError("of another cause")


def test_profile_prints_the_published_figures(run):
    code, out, _ = run("profile", PAPER / "fp32_same.yaml", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["schema"] == 1
    totals = found["totals"]
    assert (totals["macc"], totals["weights_bytes"], totals["io_bytes"]) == (20_496_832, 2_225_384, 8_400)
    assert totals["fits"] is False
    assert {"name", "kind", "macc", "weights_bytes", "macc_share", "flash_share"} <= set(found["layers"][0])
    valid = json.loads(run("profile", PAPER / "fp32.yaml", "--format", "json")[1])
    assert valid["totals"]["flash_bytes"] == 505_064
    hybrid = json.loads(run("profile", PAPER / "hybrid.yaml", "--format", "json")[1])
    assert round(hybrid["totals"]["published_rule_bytes"] / 2**20, 3) == 0.076
    for format_ in ("table", "csv", "markdown"):
        code, out, _ = run("profile", PAPER / "hybrid.yaml", "--format", format_)
        assert code == 0
        assert "conv2d_5" in out


def test_the_quickstart_from_beginning_to_end(run, tmp_path):
    """Few voices and epochs, the rest as the README's first command does it."""
    shutil.rmtree(tmp_path / "mlruns")  # as a user begins
    few = ["--set", "data.voices=3", "--set", "training.epochs=1"]
    code, out, _ = run("sweep", QUICKSTART, *few)
    assert code == 0
    assert "SYNTHETIC DATA" in out
    assert "published" in out
    report = out.splitlines()[-1].removeprefix("its report: ")
    assert "<html" in (tmp_path / report).read_text()

    code, out, _ = run("compare", "--format", "json")
    rows = {row["network"]: row for row in json.loads(out)["rows"]}
    assert set(rows) == {"quick-fp32", "quick-int8", "quick-hybrid"}
    assert rows["quick-hybrid"]["flash_kib"] == pytest.approx(82_104 / 1024)
    assert all(row["synthetic"] and row["fits"] for row in rows.values())
    for format_ in ("table", "csv", "markdown"):
        assert run("compare", "--format", format_)[0] == 0

    code, out, _ = run("evaluate", "quick-hybrid", "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["accuracy"] == pytest.approx(rows["quick-hybrid"]["accuracy"])
    assert np.sum(found["confusion"]) == found["examples"]
    low, high = found["interval"]
    assert low <= found["accuracy"] <= high

    (run_id,) = rows["quick-int8"]["runs"]
    run_folder = tmp_path / "mlruns" / "artifacts" / "hybridq" / run_id / "artifacts"
    names = {path.relative_to(run_folder).as_posix() for path in run_folder.rglob("*") if path.is_file()}
    pictures = {f"pictures/{name}.png" for name in ("confusion matrix", "learning curves", "flash by layer")}
    assert names >= pictures | {"model/model.keras", "model/hybridq.json", "recipe.yaml", "evaluation.json"}

    # A model that leaves the store takes all it needs along; another folder of clips need not have all its words.
    few_words = tmp_path / "few"
    source = next((tmp_path / "cache" / "synthetic").iterdir())
    for word in ("yes", "no"):
        shutil.copytree(source / word, few_words / word)
    count = len(list(few_words.glob("*/*")))
    model = (run_folder / "model").rename(tmp_path / "model")
    (float_id,) = rows["quick-fp32"]["runs"]
    alone = run_folder.parents[1] / float_id / "artifacts" / "model" / "model.keras"
    for where in (model, alone.parent.rename(tmp_path / "float") / alone.name):
        code, out, _ = run("evaluate", where, "--data", few_words, "--split", "all", "--format", "json")
        assert code == 0
        assert json.loads(out)["examples"] == count > 2
    (model / "model.keras").write_bytes(b"another model")
    code, _, err = run("evaluate", model, "--data", few_words, "--split", "all")
    assert code == 2
    assert "SHA-256" in err

    # Nothing is left to do: a sweep that is started again with --resume trains nothing twice.
    code, out, err = run("sweep", QUICKSTART, *few, "--resume", "--format", "json")
    assert code == 0
    assert err.count("trained already") == 3
    assert {row["network"] for row in json.loads(out)["rows"]} == set(rows)
    assert "its report: " in err


def test_the_version_is_the_packages(run):
    assert run("--version") == (0, f"hybridq {hybridq.__version__}\n", "")
