"""docs/extending.md, followed step by step in a copy of the sources: each how-to is run as it is written."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import MoveIn

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "extending.md"
SERVER = ROOT / "tests" / "command_server.py"
COPIED = ("hybridq", "recipes", "tools", "docs", "tests", "pyproject.toml", *(path.name for path in ROOT.glob("*.md")))

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(  # the end of the text before a block of code
    r"(?:[Ii]n\s+`(?P<file>[^`]+)`(?:\s+again)?,\s+(?P<side>above|below|in\s+the\s+place\s+of)\s+`(?P<line>[^`]+)`"
    r"|[Aa]t the end of `(?P<grown>[^`]+)`|[Aa] file\s+`(?P<new>[^`]+)`)[^`]*:\s*\Z"
)
SERVED = re.compile(r"(hybridq|pytest|python (?!-))")  # of the commands; others: the shell


class Block(NamedTuple):
    """A fenced block: its language, its text, and the text between it and the block before."""

    language: str
    text: str
    before: str


def blocks(page: str) -> list[Block]:
    """The blocks of a page or a section, in order."""
    fences = list(FENCE.finditer(page))
    ends = [0, *(fence.end() for fence in fences)]
    return [
        Block(fence[2], textwrap.dedent(fence[3]), page[end : fence.start()])
        for end, fence in zip(ends, fences, strict=False)
    ]


PREFACE, *REST = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
SECTIONS = dict(zip(REST[::2], REST[1::2], strict=True))
NEEDS = {"A network": ["A data set"]}  # the clips
AT_THE_END = next(block.text for block in blocks(PREFACE) if block.language == "sh")


@dataclass
class Sources:
    """A copy of the sources, in which the steps are done."""

    root: Path
    server: subprocess.Popen[str]
    followed: list[str]

    def follow(self, title: str) -> None:
        """Do the steps of a how-to, once, and those of the how-tos that it needs."""
        for one in (*NEEDS.get(title, ()), title):
            if one not in self.followed:
                self.followed.append(one)
                for block in blocks(SECTIONS[one]):
                    self.do(block)
                self.shell(AT_THE_END)

    def do(self, block: Block) -> None:
        """Write what a block says where it says, or run its commands and compare what they print."""
        if block.language == "sh":
            self.shell(block.text)
        elif block.language == "console":
            for command, expected in commands(block.text):
                status, printed = self.run(command)
                fails = re.search("^hybridq: ", expected, re.MULTILINE) is not None
                assert bool(status) is fails, f"{command} ended with {status}\n{printed}"
                assert printed_as(expected, printed), f"{command}\n--- the page:\n{expected}\n--- it is:\n{printed}"
        else:
            self.write(block)

    def write(self, block: Block) -> None:
        """Put a block of code where the text before it says."""
        place = PLACE.search(block.before)
        assert place, f"where does this go?\n{block.text}"
        if place["new"]:
            path = self.root / place["new"]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif place["grown"]:
            path = self.root / place["grown"]
            path.write_text(f"{path.read_text(encoding='utf-8')}\n\n{block.text}", encoding="utf-8")
        else:
            path = self.root / place["file"]
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            (at,) = (
                i for i, line in enumerate(lines) if line.lstrip().startswith(place["line"])
            )  # one, or it is unclear
            depth = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
            first, last = {"above": (at, at), "below": (at + 1, at + 1)}.get(place["side"], (at, at + 1))
            lines[first:last] = [textwrap.indent(block.text, depth)]
            path.write_text("".join(lines), encoding="utf-8")

    def shell(self, text: str) -> None:
        """Run a block of commands, each of which must succeed."""
        compound = re.search("^ ", text, re.MULTILINE)
        for command in [text] if compound else text.splitlines():
            status, printed = self.run(command)
            assert status == 0, f"{command}\n{printed}"

    def run(self, command: str) -> tuple[int, str]:
        """Exit status and output of one command."""
        if not SERVED.match(command):
            done = subprocess.run(["sh", "-ec", command], cwd=self.root, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout + done.stderr
        assert self.server.stdin
        assert self.server.stdout
        output = self.root / "output.txt"
        print(json.dumps({"words": shlex.split(command), "output": str(output)}), file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline()), output.read_text(encoding="utf-8")


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with what it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def printed_as(expected: str, printed: str) -> bool:
    """Whether the output is the expected text, in which `...` stands for lines or for the rest of a line."""
    pattern = "".join(
        "(?:.*\n)*?" if line == "..." else re.escape(line.rstrip()).replace(r"\.\.\.", ".*") + " *\n"
        for line in expected.splitlines()
    )
    return re.fullmatch(pattern, printed.replace("\N{NO-BREAK SPACE}", " ")) is not None


@pytest.fixture(scope="module")
def sources(move_in: MoveIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    """A copy of the sources, with recordings as the how-to on data sets has them.

    What Python has compiled of them comes along: it goes by the time at which a file was written, which a copy keeps.
    """
    root = tmp_path_factory.mktemp("sources")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("*.png"))
        else:
            shutil.copy(ROOT / name, root)
    record(root / "recordings")
    with pytest.MonkeyPatch.context() as patch:
        move_in(patch, root)
        patch.setenv("PYTHONPATH", str(root))
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # a file is written twice within a second
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        command = [sys.executable, str(SERVER)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            yield Sources(root, server, [])
            assert server.stdin
            server.stdin.close()


def record(folder: Path) -> None:
    """Two words by forty speakers, as `<speaker>/<word>-<take>.flac`."""
    import soundfile

    rng = np.random.default_rng(0)
    for speaker in range(40):
        (folder / f"{speaker:08x}").mkdir(parents=True)
        for i, word in enumerate(("yes", "no")):
            tone = 0.3 * np.sin(np.arange(12000) * (0.05 + 0.1 * i)) + 0.01 * rng.standard_normal(12000)
            soundfile.write(folder / f"{speaker:08x}" / f"{word}-1.flac", tone, 16000)


@pytest.mark.parametrize(
    "title", [pytest.param(title, marks=[pytest.mark.slow] * (title in NEEDS)) for title in SECTIONS]
)
def test_the_steps_do_what_the_page_says(title: str, sources: Sources) -> None:
    sources.follow(title)
