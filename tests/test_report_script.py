"""The script `tools/memory_report.py`: the report in each form, of a plan, and what it says of mistakes."""

from __future__ import annotations

import csv
import io
import json
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "memory_report.py"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    inputs = keras.Input((100,))
    hidden = keras.layers.Dense(50, activation="relu", name="dense")(inputs)
    path = tmp_path_factory.mktemp("report") / "two.keras"
    keras.Model(inputs, keras.layers.Dense(10, name="dense_1")(hidden)).save(path)
    return path


def report(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script in this process, which has imported what it needs; one test begins a process for it."""
    command = [str(SCRIPT), *map(str, arguments)]
    status, out, err = 0, io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", list(command))
        patch.setattr(sys, "path", list(sys.path))
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as end:
            status = int(end.code or 0)
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def test_script_prints_each_format(model_file: Path) -> None:
    alone = subprocess.run([sys.executable, SCRIPT, model_file], capture_output=True, text=True, check=True)
    assert "dense holds" in alone.stdout
    assert report(model_file).stdout == alone.stdout
    assert json.loads(report(model_file, "--format", "json", "--target", "rp2040").stdout)["target"]["name"] == "rp2040"
    assert report(model_file, "--format", "csv").stdout.startswith("name,kind")
    assert "| dense |" in report(model_file, "--format", "markdown").stdout


@pytest.mark.parametrize("format_", ["table", "json", "csv", "markdown", "html"])
def test_script_prints_changes_in_each_format(model_file: Path, format_: str) -> None:
    for asked, name in (
        (("--diff", model_file), ": before and after"),
        (("--suggest", "--flash", "2KiB"), " in 2.0 KiB of flash"),
    ):
        done = report(model_file, *asked, "--format", format_)
        assert (done.returncode, done.stderr) == (0, "")
        assert "dense" in done.stdout
        if format_ == "json":
            json.loads(done.stdout)
        elif format_ == "csv":
            assert len({len(row) for row in csv.reader(io.StringIO(done.stdout))}) == 1
        else:
            assert name in done.stdout
        assert done.stdout.startswith("<!doctype html>") == (format_ == "html")


def test_script_takes_a_plan(model_file: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("dense: binary\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("training: {epochs: 3}\nprecision:\n  dense: {weights: binary}\n")
    binary = 5_000 // 8 + 4 * 50 + 4 * (500 + 10)
    for given_plan in (plan, recipe):
        done = report(model_file, "--format", "json", "--plan", given_plan)
        assert json.loads(done.stdout)["totals"]["flash_bytes"] == binary, done.stderr
    done = report(model_file, "--format", "json", "--plan", "int8")
    assert json.loads(done.stdout)["totals"]["flash_bytes"] == 5_500 + 4 * 60


def test_script_says_what_is_wrong_in_a_line(model_file: Path, tmp_path: Path) -> None:
    typo = tmp_path / "typo.yaml"
    typo.write_text("dence: binary\n")
    for arguments, message in [
        (("none.keras",), "none.keras: no such file"),
        ((SCRIPT,), "not a model file"),
        ((model_file, "--target", "stm32"), "not a known target"),
        ((model_file, "--plan", typo), "matches no layer; the nearest layer is 'dense'"),
        ((model_file, "--suggest", "--plan", typo), "matches no layer; the nearest layer is 'dense'"),
        (
            (model_file, "--suggest", "--to", "3-bit"),
            "--to: '3-bit' is not one of 8-bit, 4-bit, 2-bit, ternary, binary",
        ),
        ((model_file, "--suggest", "--diff", model_file), "ask for one of them"),
        ((model_file, "--to", "binary"), "--to is for --suggest"),
        ((model_file, "--flash", "abc"), "'abc' is not a size"),
        ((model_file, "--ram", "-1"), "'-1' is not a size"),
    ]:
        done = report(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("hybridq: ")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
