"""No process that hybridq starts runs a Python file of the folder it is started in: that may be a stranger's.

The workers of sweeps, MLflow's pages and the converter of SavedModels are tested so where they are started anyway.
"""

import os
import subprocess
import sys

import pytest
from traps import Traps

from hybridq.backend.startup import sealed
from hybridq.image import toolchain

IMPORTS = "import random, queue, json, uuid, decimal, csv, hybridq; print(hybridq.__file__)"


@pytest.fixture
def traps(inner):
    return Traps(inner)


def test_a_trap_springs_without_care(traps):
    subprocess.run([sys.executable, "-c", IMPORTS], check=False, capture_output=True, env=os.environ)
    assert traps.sprung


def test_the_environment_of_our_processes_hides_the_folder_also_from_those_they_start(traps):
    again = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {IMPORTS!r}], check=True)"
    subprocess.run([sys.executable, "-c", again], check=True, capture_output=True, env=sealed())
    assert not traps.sprung


@pytest.mark.usefixtures("traps")
def test_what_the_user_names_is_kept(inner, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(inner))
    monkeypatch.syspath_prepend(str(inner))
    done = subprocess.run([sys.executable, "-c", IMPORTS], check=False, capture_output=True, env=sealed())
    assert done.returncode != 0  # Python itself does not start with these


def test_zig_is_the_package_s(traps, inner):
    compiler = toolchain.cortex_m4().get("zig")
    if compiler is None:
        pytest.skip("zig is not installed: pip install 'hybridq[deploy]'")
    (inner / "none.c").write_text("int none;\n")
    compiler.build([inner / "none.c"], inner / "none.o", ("-c",))
    assert not traps.sprung
