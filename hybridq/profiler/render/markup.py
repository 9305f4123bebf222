"""HTML and SVG, without script and with nothing from elsewhere; readable in light, in dark and on paper.

Names of layers are a stranger's text: `element` is the only place where markup is made, and it escapes whatever is
not markup already.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from hybridq.formats import Format
from hybridq.profiler.render.table import Bar, Note, Sheet

# Each has a contrast of 3:1 or more against white and against the near-black of dark pages.
COLOURS = {str(one): one.row.colour for one in Format}
COLOURS |= {"fine": COLOURS["8-bit"], "exceeded": COLOURS["binary"]}
# What is wider than the page scrolls, with a shadow at the edge behind which there is more.
# Notebooks have styles of their own for tables, headings and lists: what matters is said here, whatever they say.
STYLE = """
.hybridq { font: 14px/1.45 system-ui, sans-serif; max-width: 72rem; font-variant-numeric: tabular-nums; }
.hybridq h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 0.6rem; overflow-wrap: anywhere; }
.hybridq p, .hybridq ul { margin: 0.6rem 0; overflow-wrap: anywhere; }
.hybridq table { border-collapse: collapse; border: 0; margin: 0.5rem 0 1.5rem; font-size: inherit; }
.hybridq tr, .hybridq tbody tr:nth-child(odd), .hybridq tbody tr:nth-child(even) { background: none; }
.hybridq th, .hybridq td { padding: 0.2rem 0.4rem; vertical-align: middle; border: 0;
  border-bottom: 1px solid rgb(128 128 128 / 0.35); max-width: none; white-space: nowrap; }
.hybridq table .name, .hybridq table .text { text-align: left; }
.hybridq table .number { text-align: right; }
.hybridq td.name { overflow-wrap: anywhere; white-space: normal; min-width: min(12.5rem, 30vw); }
.hybridq td svg { max-width: none; }
.hybridq tr.dominant td.name { font-weight: 700; }
.hybridq tr.same { opacity: 0.65; }
.hybridq tr.added td:first-child, .hybridq tr.removed td:first-child, .hybridq tr.changed td:first-child,
.hybridq tr.unknown td { font-weight: 700; }
.hybridq .wide, .hybridq figure { overflow-x: auto; background:
  linear-gradient(to right, Canvas 1.5rem, transparent 3rem) left / 3rem 100% no-repeat local,
  linear-gradient(to left, Canvas 1.5rem, transparent 3rem) right / 3rem 100% no-repeat local,
  linear-gradient(to right, rgb(128 128 128 / 0.5), transparent) left / 0.8rem 100% no-repeat scroll,
  linear-gradient(to left, rgb(128 128 128 / 0.5), transparent) right / 0.8rem 100% no-repeat scroll; }
.hybridq .verdict, .hybridq .warning { border-left: 0.3rem solid #00875f; padding-left: 0.6rem; font-weight: 600; }
.hybridq .warning { border-left-color: #c85200; }
.hybridq figure { margin: 1rem 0 1.5rem; }
.hybridq figcaption { font-weight: 600; margin-bottom: 0.4rem; }
.hybridq svg { vertical-align: middle; }
.hybridq figure svg { width: 100%; height: auto; min-width: 640px; max-width: 960px; }
.hybridq text { fill: currentColor; font-size: 12px; font-family: system-ui, sans-serif; }
@media print {
  .hybridq { font-size: 9px; max-width: none; }
  .hybridq th, .hybridq td { padding: 0.1rem 0.25rem; }
  .hybridq .wide, .hybridq figure { overflow: visible; background: none; }
  .hybridq figure svg { min-width: 0; }
  .hybridq tr, .hybridq figure { break-inside: avoid; }
}
"""
PAGE_STYLE = ":root { color-scheme: light dark; } body { margin: 1.5rem; background: Canvas; color: CanvasText; }"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


class Markup(str):
    """Text that is markup already."""


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """One element; children that are no Markup are escaped, and all attributes (`class_` is class, `_` is -)."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items())
    inside = "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    return Markup(f"<{name}{given}>{inside}</{name}>")


def page(title: str, body: str, style: str = PAGE_STYLE) -> str:
    """A whole page around a `frame`, or around what has a style of its own."""
    return PAGE.format(title=escape(title), style=style, body=body)


def frame(title: str, *parts: Markup) -> Markup:
    """What a page or a notebook shows, with its style, which reaches nothing else."""
    return element("div", element("style", Markup(STYLE)), element("h1", title), *parts, class_="hybridq")


def table(sheet: Sheet) -> Markup:
    """The table of a sheet."""
    kinds = [column.kind for column in sheet.columns]
    head = [element("th", column.heading, class_=column.kind) for column in sheet.columns]
    rows = [element("tr", *map(_cell, line.cells, kinds), class_=line.look or "plain") for line in sheet.lines]
    thead = [element("thead", element("tr", *head))] if any(column.heading for column in sheet.columns) else []
    return element("div", element("table", *thead, element("tbody", *rows)), class_="wide")


def callout(note: Note) -> Markup:
    """A sentence that stands out: as good news, or as a warning."""
    return element("p", note.text, class_="warning" if note.warning else "verdict")


def notes(given: Sequence[Note], *further: str) -> Markup:
    """Sentences: the warnings first, the others and `further` ones as a list."""
    warnings = [callout(note) for note in given if note.warning]
    items = [element("li", text) for text in (*(note.text for note in given if not note.warning), *further)]
    return Markup("".join((*warnings, *([element("ul", *items)] if items else []))))


def bar(cell: Bar, width: int = 60) -> Markup:
    """A bar in a frame; more than 100 % is full."""
    outline = rect(0.5, 0.5, width - 1, 11, fill="none", stroke="#767676", stroke_opacity=0.6)
    filled = rect(0, 0, width * min(max(cell.share, 0.0), 100.0) / 100, 12, fill=COLOURS[cell.colour])
    return svg(width, 12, f"{cell.share:.1f} %", filled, outline)


def svg(width: float, height: float, label: str, *shapes: Markup) -> Markup:
    """A picture of that size in its own units; the label is for those who do not see it."""
    box = f"0 0 {width:g} {height:g}"
    return element("svg", *shapes, viewBox=box, width=width, height=height, role="img", aria_label=label)


def rect(x: float, y: float, width: float, height: float, *inside: Markup, **look: str | float) -> Markup:
    """A rectangle."""
    place = {"x": round(x, 2), "y": round(y, 2), "width": round(width, 2), "height": round(height, 2)}
    return element("rect", *inside, **place, **look)


def text(x: float, y: float, words: str, **look: str | float) -> Markup:
    """Text in a picture, from (x, y) on, in its units."""
    return element("text", words, x=round(x, 2), y=round(y, 2), **look)


def shortened(words: str, room: float, each: float = 7.0) -> str:
    """The words, or of them what fits in a `room` of so many units, at `each` a character."""
    fits = max(int(room / each), 0)
    return words if len(words) <= fits else words[: fits - 1] + "…" if fits > 1 else ""


def _cell(cell: str | Bar, kind: str) -> Markup:
    return element("td", bar(cell) if isinstance(cell, Bar) else cell, class_=kind)
