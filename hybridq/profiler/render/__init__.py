"""A result of the profiler, shown: a report, two side by side, or a suggestion, in every form.

What differs by the kind of result is a `singledispatch` function: `sheet`, `records`, `fragment` and `to_json`, each
with a handler a kind. The forms here are made of these.

sheets.py      each kind as a table with notes, and as records
words.py       the sentences of a report; result_words.py: of the other kinds
table.py       such a table for a terminal, as text, as Markdown; records as CSV
html.py        each kind as HTML; pictures.py: its pictures; markup.py: what HTML and SVG are made of
plain_data.py  each kind as JSON has it
"""

from __future__ import annotations

from hybridq.profiler.render import markup, table
from hybridq.profiler.render.html import fragment as fragment
from hybridq.profiler.render.plain_data import to_json as to_json
from hybridq.profiler.render.sheets import records as records
from hybridq.profiler.render.sheets import sheet as sheet
from hybridq.profiler.render.words import NOTHING_TO_NARROW as NOTHING_TO_NARROW
from hybridq.profiler.result import Result


def text(result: Result) -> str:
    """Plain text of at most 100 columns."""
    return table.plain(sheet(result))


def terminal(result: Result) -> table.Terminal:
    """A rich renderable, for a terminal of any width."""
    return table.Terminal(sheet(result))


def markdown(result: Result) -> str:
    """A heading, a table and a list."""
    return table.markdown(sheet(result))


def csv(result: Result) -> str:
    """A heading and a line a layer, comma-separated; an empty cell where a figure is not known."""
    return table.comma_separated(records(result))


def page(result: Result) -> str:
    """One self-contained HTML page."""
    return markup.page(sheet(result).title, fragment(result))
