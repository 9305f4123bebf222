"""The pages for readers: what is generated is up to date, what is shown works, what is linked is there."""

import ast
import re
import shutil
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
from pydantic import Field
from tool_modules import tool_module

from hybridq.recipe.file import load_recipe
from hybridq.recipe.schema import Recipe
from hybridq.settings.section import Section
from hybridq.settings.validation import keys

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hybridq"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/document_recipes.py as a module."""
    return tool_module("document_recipes")


def test_the_page_on_recipes_is_what_the_tool_writes(tool: ModuleType) -> None:
    text = tool.PAGE.read_text(encoding="utf-8")
    assert text == tool.page(text), "run: python tools/document_recipes.py"


def test_every_key_has_a_row(tool: ModuleType) -> None:
    written = "\n\n".join(tool.blocks())
    for key in keys(Recipe):
        section = ".".join(map(str, key[:-1]))
        _, _, after = written.partition(f"### {section}\n" if section else "## Every key\n")
        assert f"| `{key[-1]}` |" in after.partition("\n### ")[0], key


def test_a_new_key_or_section_needs_no_line_in_the_tool(tool: ModuleType) -> None:
    class Inner(Section):
        """What is inside."""

        pause: float | None = Field(default=None, gt=0, le=9, description="how long to wait (s)")
        order: Literal["up", "down"] = Field(default="up", description="which way (really)")
        grid: dict[str, list[float]] = Field(default={}, description="key to values")

    class Outer(Section):
        """A section of a section."""

        inner: Inner | None = Field(default=None, description="a section")
        several: tuple[Inner, ...] = Field(default=(), description="sections in a list")
        count: int | list[int] = Field(description="how many (count)")

    schema = Outer.model_json_schema()
    text = "\n".join(tool.section("", schema, schema["$defs"]))
    assert "| `inner` | mapping or null |  | `null` |  | a section: [inner](#inner) |" in text
    assert "| `several` | list of mappings |  | `[]` |  | sections in a list: [several](#several) |" in text
    assert "| `count` | whole number or list of whole numbers | count | - |  | how many |" in text
    assert "### inner\nWhat is inside.\n" in text
    assert "| `pause` | number or null | s | `null` | more than 0, 9 or less | how long to wait |" in text
    assert "| `order` | `up` or `down` |  | `up` |  | which way (really) |" in text
    assert "| `grid` | mapping to list of numbers |  |  |  | key to values |" in text


def test_the_recipes_shown_load(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"```yaml\n# (\S+\.yaml)\n(.*?)```", page, re.DOTALL))
    for path, text in shown.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    pictures = tmp_path / "recipes" / "mine" / "resnet.keras"
    recipes = {recipe.name: recipe for recipe in (load_recipe(tmp_path / path) for path in shown)}
    assert recipes["exercises"].data.place.endswith("mine/exercises.npz")
    assert recipes["pictures"].model.keras == str(pictures)
    plain, big, narrow = (recipes[name] for name in ("float", "big", "narrow"))
    assert (plain.name, big.name, narrow.name) == ("float", "big", "narrow")
    assert narrow.parent is not None
    assert (narrow.parent.digest(), narrow.tutors[0].digest()) == (plain.digest(), big.digest())
    assert [narrow.plan.of(name).weights for name in ("conv2d_4", "dense_2")] == ["ternary", "8-bit"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    linked = re.findall(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)", text)
    named = re.findall(r"`((?:docs|tools|recipes|tests)/[\w./-]+)`", text)
    missing = [name for name in linked if not (page.parent / name).exists()]
    missing += [name for name in named if not (ROOT / name).exists()]
    assert not missing


# ------------------------------------------------------------------------------------------------- the rooms


def rooms() -> list[tuple[str, str]]:
    """The rows of the table of rooms in docs/architecture.md: the name of the room, and what it holds."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return re.findall(
        r"^\| `([\w.]+)/?` \| (.*) \|$", page.partition("## Rooms")[2].partition("\n## ")[0], re.MULTILINE
    )


def test_the_table_of_rooms_is_the_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (one for one in settings["tool"]["importlinter"]["contracts"] if one["id"] == "rooms")
    in_order = [room for layer in contract["layers"] for room in layer.split(" | ")]
    assert [name.removesuffix(".py") for name, _ in rooms()] == in_order
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert {name for name, _ in rooms()} == folders | modules


@pytest.mark.parametrize(
    "room", sorted({path.parent for path in PACKAGE.glob("*/**/__init__.py")}), ids=lambda room: room.name
)
def test_a_room_says_what_each_of_its_modules_holds(room: Path) -> None:
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert set(re.findall(r"(?<![\w/])\w+\.py\b", docstring)) == {path.name for path in room.glob("*.py")} - {
        "__init__.py"
    }


# ------------------------------------------------------------------------------------------------- names


SOURCES = sorted(
    path for pattern in ("tools/*.py", "hybridq/**/*.[ch]", "recipes/**/*.yaml") for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("file", [*PAGES, *SOURCES], ids=lambda file: str(file.relative_to(ROOT)))
def test_modules_that_a_file_names_are_there(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    made = set(re.findall(r"[Aa] file\s+`([^`]+)`", text))  # by the steps of docs/extending.md
    paths = re.findall(r"\bhybridq(?:/\w+)+/?(?:\.\w+)?", text) + re.findall(r"`([\w./-]+\.py)`", text)
    missing = [path for path in paths if not ({path} & made or (ROOT / path).exists() or (PACKAGE / path).is_file())]
    dotted = set(re.findall(r"\bhybridq(?:\.[A-Za-z_]\w*)+", text)) - {f"hybridq.{end}" for end in ("c", "h", "json")}
    missing += [name for name in dotted if not (is_there(name) or f"{name.replace('.', '/')}.py" in made)]
    assert not missing


def is_there(name: str) -> bool:
    """Whether `hybridq.a.b.name` is a module, or a word of the module before it."""
    path, words = PACKAGE, name.split(".")[1:]
    while words and (path / words[0]).is_dir():
        path /= words.pop(0)
    module = path / f"{words[0]}.py" if words else path / "__init__.py"
    if words and module.exists():
        words.pop(0)
    else:
        module = path / "__init__.py"
    return not words or re.search(rf"\b{words[0]}\b", module.read_text(encoding="utf-8")) is not None
