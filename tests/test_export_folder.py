"""`hybridq export` into folders that are not empty: what others keep there stays, and is never compiled unasked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run
from test_export import SMALL, small

from hybridq.errors import UserError
from hybridq.image.export import export as export_network
from hybridq.image.folder import FILES
from hybridq.integer.artefact import save_network

EMPTY = hashlib.sha256(b"").hexdigest()
USERS = {"README.md": "my firmware", "src/main.c": "int main(void) { return 0; }", "board/mine.ld": "", "notes.txt": ""}


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A firmware project, the current folder, with a network in it."""
    for name, text in USERS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    save_network(small(**SMALL), tmp_path / "trained.hqn")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_project_keeps_its_files(project: Path, run: Run) -> None:
    before = everything(project)
    code, _, err = run("export", "trained.hqn", "--out", ".")
    assert code == 2
    assert "README.md is there already" in err
    assert everything(project) == before
    code, _, err = run("export", "trained.hqn", "--out", ".", "--overwrite")
    assert code == 0, err
    after = everything(project)
    assert b"made by `hybridq export`" in after.pop("README.md")
    assert {name: after[name] for name in before if name != "README.md"} == {
        name: content for name, content in before.items() if name != "README.md"
    }


def test_what_a_user_changed_is_not_written_over(project: Path, run: Run) -> None:
    assert run("export", "trained.hqn", "--out", "image")[0] == 0
    for name in ("board/main.c", "src/network.h"):
        (project / "image" / name).write_text("mine")
    code, _, err = run("export", "trained.hqn", "--out", "image")
    assert code == 2
    assert "src/network.h, board/main.c are there already, not as an export wrote it" in err
    assert (project / "image" / "board" / "main.c").read_text() == "mine"


def test_another_network_takes_the_place_of_the_one_before(project: Path, run: Run) -> None:
    assert run("export", "trained.hqn", "--out", "image", "--tflite")[0] == 0
    (project / "image" / "src" / "mine.c").write_text("mine")
    assert (project / "image" / "network.tflite").is_file()
    save_network(small(**SMALL, name="another"), project / "trained.hqn")
    assert run("export", "trained.hqn", "--out", "image")[0] == 0
    there = everything(project / "image")
    assert "network.tflite" not in there
    assert there["README.md"].startswith(b"# another")
    assert set(there) == {*json.loads(there["build.json"])[FILES], "build.json", "src/mine.c"}


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "src" / "stdint.h").write_text("#error"),
        lambda folder: (folder / "src" / "network.c").write_text("int x;"),
        lambda folder: (folder / "board" / "main.c").unlink(),
        lambda folder: (folder / "src" / "more").mkdir() or (folder / "src" / "more" / "a.h").write_text(""),
    ],
    ids=["a header", "a source", "one that is gone", "deeper"],
)
def test_c_of_others_is_not_run(change: Callable[[Path], object], project: Path, run: Run) -> None:
    """Also where build.json lists it, for it too may be another's."""
    assert run("export", "trained.hqn", "--out", "image")[0] == 0
    image = project / "image"
    change(image)
    about = json.loads((image / "build.json").read_text())
    about[FILES] = {name: hashlib.sha256(content).hexdigest() for name, content in everything(image).items()}
    (image / "build.json").write_text(json.dumps(about))
    code, out, err = run("verify", "image")
    assert (code, out) == (2, "")
    assert "not as this version of `hybridq export` writes it, so it is not run on this machine" in err


@pytest.mark.parametrize(
    "listed",
    [{"../notes.txt": EMPTY}, {"/etc/passwd": EMPTY}, {"src/main.c": 3}, {"src/main.c": ""}, ["src"], None, "deep"],
)
def test_a_list_that_is_not_ours_removes_nothing(listed: object, project: Path) -> None:
    image = project / "image"
    image.mkdir()
    text = "[" * 100_000 if listed == "deep" else json.dumps({FILES: listed})
    (image / "build.json").write_text(text)
    before = everything(project)
    with pytest.raises(UserError, match=r"build\.json is there already"):
        export_network(small(**SMALL), image)
    assert everything(project) == before


def test_a_link_is_replaced_not_followed(project: Path, run: Run) -> None:
    (project / "image").mkdir()
    (project / "image" / "README.md").symlink_to(project / "notes.txt")
    assert run("export", "trained.hqn", "--out", "image")[0] == 2
    assert run("export", "trained.hqn", "--out", "image", "--overwrite")[0] == 0
    assert (project / "notes.txt").read_text() == ""
    assert not (project / "image" / "README.md").is_symlink()
