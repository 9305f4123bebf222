"""docs/your-own.md is followed from its beginning to its end, in an empty folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, Run

from hybridq.image.toolchain import cortex_m4

PAGE = (REPOSITORY / "docs" / "your-own.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not cortex_m4(), reason="needs a compiler for the Cortex-M4: pip install ziglang")
def test_the_page_does_what_it_says(inner: Path, run: Run, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYBRIDQ_CACHE", str(inner / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    names: dict[str, Any] = {}
    commands, printed = 0, ""
    for kind, text in BLOCK.findall(PAGE):
        if kind == "python":
            exec(compile(text, "docs/your-own.md", "exec"), names)
            printed += capsys.readouterr().out
        elif kind == "yaml":
            Path(text.splitlines()[0].removeprefix("# ")).write_text(text)
        elif kind == "sh":
            for line in text.splitlines():
                program, *words = shlex.split(line)
                assert program == "hybridq"
                code, out, err = run(*words)
                assert code == 0, (line, err)
                printed += out
                commands += 1
        else:
            assert kind == "c"
            assert set(re.findall(r"HYBRIDQ_\w+", text)) <= set(re.findall(r"HYBRIDQ_\w+", header()))
    assert commands == 5
    accuracies = [float(one) for one in re.findall(r"accuracy (\d+\.\d) %", printed)]
    assert accuracies
    assert min(accuracies) > 88
    assert "200 of 200" in printed


def header() -> str:
    return "".join(path.read_text() for path in Path("image").rglob("*.h"))
