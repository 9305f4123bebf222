"""What stands at a path that a user names is not lost: only what a command has made itself is made anew."""

import pytest
from conftest import REPOSITORY

from hybridq.errors import UserError
from hybridq.results.drawing import check_picture, empty_figure, save

RECIPE = REPOSITORY / "recipes" / "quickstart" / "int8.yaml"


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.PDF"])
def test_a_picture_is_drawn_anew_over_its_own_alone(name, tmp_path):
    file = tmp_path / name
    for _ in range(2):
        check_picture("--picture", file)
        save(empty_figure(1, 1), file)
    file.write_bytes(b"a holiday")
    with pytest.raises(UserError, match=f"--picture .*{name}: is there already, and is no picture of hybridq's"):
        check_picture("--picture", file)


@pytest.mark.parametrize("uri", ["", "sqlite:///runs.db"], ids=["default", "a database"])
@pytest.mark.parametrize("command", ["compare", "evaluate run", "export run --out image", "ui", "reproduce run"])
def test_reading_makes_nothing(command, uri, inner, run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    code, out, err = run(*command.split())
    assert (code, out) == (2, "")
    assert "no runs are kept in" in err
    assert list(inner.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "pretrained:best-16k", "--picture", "mine.png"),
        ("stream-eval", "pretrained:best-16k", "--picture", "mine.png"),
        ("compare", "--pareto", "mine.png"),
        ("stream-eval", "pretrained:best-16k", "--data", "synthetic", "--keep", "mine"),
        ("search", RECIPE, "--flash", "60KiB", "--out", "mine.yaml"),
        ("export", "pretrained:best-16k", "--out", "mine"),
    ],
    ids=lambda words: " ".join(map(str, words[:3:2])),
)
def test_it_is_said_before_any_work(command, inner, run):
    (inner / "mine").mkdir()
    for name in ("mine.png", "mine.yaml", "mine/README.md", "mine/snr_10.wav"):
        (inner / name).write_text("mine")
    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert "--overwrite" in err if command[0] == "export" else "mine" in err
    assert "Traceback" not in err
    for name in ("mine.png", "mine.yaml", "mine/README.md", "mine/snr_10.wav"):
        assert (inner / name).read_text() == "mine"
