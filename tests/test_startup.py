"""Large imports: what is left out of them is there for whoever asks for it, and the collector is as it was."""

import gc
import subprocess
import sys

import pytest

from hybridq.backend.startup import configured_backend, large_import

IMPORTED = """
import sys
from hybridq.backend import startup
from hybridq.backend.tensorflow import load_qkeras
if sys.argv[1] == "spare":
    startup.spare_imports()
load_qkeras()
print(not {"sklearn", "jax"}.isdisjoint(sys.modules))
import sklearn, scipy.signal
scipy.signal.lfilter([1.0], [1.0], [1.0, 2.0])  # SciPy asks whether what it is given is of JAX
print(sklearn.__name__)
"""


@pytest.mark.parametrize(("way", "imported"), [("spare", "False"), ("whole", "True")])
def test_what_is_left_out_can_be_imported_afterwards(way, imported):
    done = subprocess.run([sys.executable, "-c", IMPORTED, way], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [imported, "sklearn"]


def test_the_collector_is_as_it_was():
    with large_import("not there"):
        assert not gc.isenabled()
    assert gc.isenabled()
    with large_import("gc"):
        assert gc.isenabled()
    gc.disable()
    try:
        with large_import("not there"):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("asked", "file", "found"),
    [
        ("jax", None, "jax"),
        (None, None, "tensorflow"),
        (None, '{"backend": "jax"}', "jax"),
        ("torch", '{"backend": "jax"}', "torch"),
        (None, "[]", "tensorflow"),
        (None, "no JSON", "tensorflow"),
    ],
)
def test_the_backend_is_the_one_that_keras_takes(tmp_path, monkeypatch, asked, file, found):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", asked or "")
    if file is not None:
        (tmp_path / "keras.json").write_text(file)
    assert configured_backend() == found
