"""Fixtures shared by all tests."""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from hybridq.backend.startup import spare_imports
from hybridq.tracking import Store, open_store

spare_imports()  # as the command does: memory and time of each process of the tests
# A test may import Keras before hybridq does, and so decide the threads of all behind it; they decide last digits.
if "HYBRIDQ_THREADS" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", os.environ["HYBRIDQ_THREADS"])
# The machine may be busy with something else, so no deadline. The same examples every time, so that no change passes or
# fails by luck; `pytest --hypothesis-profile=explore` draws new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("steady", settings.get_profile("explore"), derandomize=True)
settings.load_profile("steady")

REPOSITORY = Path(__file__).resolve().parent.parent
Write = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
MoveIn = Callable[..., None]
LONGEST = tuple(f"tests/test_{name}.py" for name in ("sweep_engines", "cli", "train_command", "tracking_servers"))
REAL_CLIPS = REPOSITORY.parent / "shared" / "data" / "gsc"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: the other processes would else wait for them at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(scope="session")
def gsc() -> Path:
    """A folder of real Speech Commands clips, beside the repository where there is one."""
    if not REAL_CLIPS.is_dir():
        pytest.skip("real clips are not beside this checkout (../shared/data/gsc)")
    return REAL_CLIPS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Clips of two words by forty speakers, tones of different pitch, and a background noise."""
    return write_tones(tmp_path / "clips")


@pytest.fixture
def data(folder: Path, tmp_path: Path) -> Any:
    """The two words of `folder` as a data set."""
    from hybridq.speech.audio import open_folder
    from hybridq.speech.dataset import Dataset
    from hybridq.speech.mfcc import FrontEnd

    return Dataset(open_folder(folder, tmp_path / "cache"), ("yes", "no"), FrontEnd(), tmp_path / "cache")


def write_tones(root: Path) -> Path:
    """What the fixture `folder` gives, in a folder of one's own."""
    import soundfile

    rng = np.random.default_rng(0)
    for i, word in enumerate(("yes", "no")):
        (root / word).mkdir(parents=True)
        for speaker in range(40):
            tone = 0.3 * np.sin(np.arange(12000) * (0.05 + 0.1 * i)) + 0.01 * rng.standard_normal(12000)
            soundfile.write(root / word / f"{speaker:08x}_nohash_0.wav", tone, 16000)
    (root / "_background_noise_").mkdir()
    soundfile.write(root / "_background_noise_" / "hum.wav", 0.1 * rng.standard_normal(20000), 16000)
    return root


@pytest.fixture(scope="session")
def move_in(tmp_path_factory: pytest.TempPathFactory) -> MoveIn:
    """Make a folder the current one, with an empty store and a cache of its own, whatever the environment says.

    The store is the copy of one, for MLflow takes two seconds to make one.
    """
    from hybridq.tracking import open_store

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        empty = tmp_path_factory.mktemp("empty") / "mlruns"
        open_store(empty)

    def moved_in(patch: pytest.MonkeyPatch, folder: Path) -> None:
        shutil.copytree(empty, folder / "mlruns")
        patch.chdir(folder)
        patch.setenv("HYBRIDQ_CACHE", str(folder / "cache"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)

    return moved_in


@pytest.fixture(scope="session")
def built_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `built_once` keeps programs."""
    return tmp_path_factory.mktemp("built")


@pytest.fixture
def built_once(built_programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiler is asked for the program again that it has made of the same files with the same flags."""
    from hybridq.image.toolchain import Compiler

    build = Compiler.build

    def once(compiler: Compiler, sources: Sequence[Path], output: Path, flags: Sequence[str] = ()) -> Path:
        beside = sorted({file for source in sources for file in source.parent.iterdir() if file.is_file()})
        others = [flag for flag in flags if not flag.startswith("-I")]
        key = hashlib.sha256(repr([compiler.command, others, [path.name for path in sources]]).encode())
        for file in beside:
            key.update(file.name.encode() + file.read_bytes())
        kept = built_programs / key.hexdigest()
        if not kept.exists():
            shutil.copyfile(build(compiler, sources, output, flags), kept)
        shutil.copyfile(kept, output)
        return output

    monkeypatch.setattr(Compiler, "build", once)


def command(*arguments: object) -> int:
    """Run `hybridq` with these arguments, in this process; its exit status."""
    from hybridq import cli

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["hybridq", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def answers(model: Any, inputs: Any) -> Any:
    """What a Keras model makes of inputs, operation by operation: `predict` would first trace a graph for seconds."""
    return np.asarray(model(inputs, training=False))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `hybridq` with these arguments, in this process: exit status, standard output, standard error.

    Nothing that a test does may end in what nobody foresaw.
    """

    def captured(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()  # of commands before
        code = command(*arguments)
        said = capsys.readouterr()
        assert not re.search(r"unexpected \w*(Error|Exception)", said.out + said.err), said
        return code, said.out, said.err

    return captured


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Write a recipe into a folder of this module's own and give its path."""
    folder = tmp_path_factory.mktemp("recipes")

    def write(text: str | bytes, name: str = "a.yaml") -> Path:
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def inner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in a folder, the current one."""
    folder = tmp_path / "inner"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session", params=["host", "sanitized", "zig", "gcc"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What the C kernels run on, built once: one of `kernel_machines`."""
    from kernel_machines import Emulated, Host, Sanitized
    from network_runs import has_sanitizers

    from hybridq.image import toolchain

    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "host":
        if toolchain.host() is None:
            pytest.skip("no C compiler")
        yield Host(folder)
    elif request.param == "sanitized":
        if not has_sanitizers():
            pytest.skip("no gcc with AddressSanitizer")
        sanitized = Sanitized(folder)
        yield sanitized
        sanitized.close()
    else:
        pytest.importorskip("elftools", reason="needs pip install hybridq[deploy]")
        pytest.importorskip("unicorn", reason="needs pip install hybridq[deploy]")
        if request.param not in toolchain.cortex_m4():
            pytest.skip(f"{request.param} for the Cortex-M4 is not installed")
        yield Emulated(folder, toolchain.cortex_m4()[request.param])


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for many tests: its making costs a second or two."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    return open_store(tmp_path_factory.mktemp("project") / "mlruns")
