"""The parts of an HTML page about several runs: tables, bars, confusion matrices, pictures; nothing from elsewhere.

All text goes through `element`, which escapes it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hybridq.data.task import CLIPS
from hybridq.profiler.render import markup
from hybridq.profiler.render.markup import STYLE, Markup, element
from hybridq.settings.units import to_kib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_LAYERS = 30
BAR = 8.0  # width of the largest bar, rem
RIGHT, WRONG = "0 114 178", "213 94 0"  # red, green, blue
OWN_STYLE = """
body { margin: 1.5rem 0; padding: 0 1rem; color: #1a1a1a; background: #ffffff; }
.hybridq { margin: 0 auto; }
h1 { margin-bottom: 0.2rem; }
h2 { margin: 2.2rem 0 0.3rem; border-bottom: 2px solid #0072b2; }
.hybridq th { vertical-align: bottom; white-space: normal; }
.hybridq td.text { white-space: normal; }
td, .bar { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
td.figure { text-align: right; white-space: nowrap; }
.wide tr td:first-child { white-space: nowrap; }
td.key, td.bars { white-space: nowrap; }
tr.published td { font-style: italic; color: #5c5c5c; border-bottom-color: #808080; }
tr.total td { font-weight: 700; }
p.loud { padding: 0.6rem; background: #ffe08a; border: 2px solid #c85200; font-weight: 700; }
p.about { color: #4a4a4a; max-width: 50rem; }
.side { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; }
.side figure { max-width: 100%; }
.hybridq table.confusion { font-size: 0.75rem; margin: 0; }
.hybridq .confusion th, .hybridq .confusion td { padding: 0.15rem; }
.hybridq .confusion td.figure { min-width: 1.6rem; text-align: center; }
.confusion th span { writing-mode: vertical-rl; transform: rotate(180deg); }
.bar, .count, small { display: inline-block; }
.bar { height: 0.7rem; background: #0072b2; }
.count { width: 3.5rem; padding-right: 0.5rem; text-align: right; }
small { width: 3.4rem; color: #5c5c5c; }
.hybridq figure { margin: 0.3rem 0; break-inside: avoid; }
.hybridq img { width: 100%; min-width: 34rem; max-width: 46rem; height: auto; }
@media print {
  h2 { break-after: avoid; }
  .hybridq img { max-width: 36rem; }
}
"""
Cells = Sequence[str]
Layers = Mapping[str, Mapping[str, Any]]  # those of `Profile.to_json`, by name


def page(title: str, parts: Sequence[Markup]) -> str:
    """The whole page."""
    return markup.page(title, element("div", *parts, class_="hybridq"), STYLE + OWN_STYLE)


def plain_table(headings: Cells, rows: Sequence[Cells]) -> Markup:
    """A table of text, the first column its keys."""
    lines = []
    for key, *texts in rows:
        cells = (element("td", text, class_="text") for text in texts)
        lines.append(element("tr", element("td", key, class_="key"), *cells))
    return table(headings, lines, numbers=False)


def table(headings: Cells, rows: Sequence[Markup], *, numbers: bool = True) -> Markup:
    """A table of rows, made with `table_row` or by hand; with `numbers`, headings but the first stand on the right."""
    cells = (element("th", text, class_="number" if numbers and at else "name") for at, text in enumerate(headings))
    head = [element("thead", element("tr", *cells))] if headings else []
    return element("div", element("table", *head, element("tbody", *rows)), class_="wide")


def table_row(cells: Cells, kind: str = "plain") -> Markup:
    """A row of a name and figures; `kind` is its class: plain, published or total."""
    first, *figures = cells
    return element("tr", element("td", first), *(element("td", text, class_="figure") for text in figures), class_=kind)


def picture(fig: Figure, alt: str) -> Markup:
    """The picture as a part of the page; an image of its own, so that the names in two of them do not meet."""
    out = io.BytesIO()
    fig.savefig(out, format="svg", metadata={"Date": None})
    source = f"data:image/svg+xml;base64,{base64.b64encode(out.getvalue()).decode()}"
    image = Markup(element("img", src=source, alt=alt).removesuffix("</img>"))
    return element("div", element("figure", image), class_="wide")


def confusion(counts: Sequence[Sequence[int]], words: Sequence[str], unit: str = CLIPS) -> Markup:
    """A confusion matrix (said, heard) as a table of percent; the counts show under the mouse.

    Of examples that are no clips, by their `unit`, they are the true class and the one answered.
    """
    said, heard_as = ("said", "heard as") if unit == CLIPS else ("true class", "taken for")
    rows = []
    for word, line in zip(words, counts, strict=True):
        cells = [element("td", word)]
        for heard, count in zip(words, line, strict=True):
            share = 100 * count / max(sum(line), 1)
            shade = f"{RIGHT} / {share / 200:.3f}" if word == heard else f"{WRONG} / {min(share / 20, 0.6):.3f}"
            look = {"class_": "figure", "style": f"background: rgb({shade})"}
            cells.append(
                element("td", _percent(share), title=f"{word} {heard_as} {heard}: {count} of {sum(line)}", **look)
            )
        rows.append(element("tr", *cells))
    head = element("tr", element("th", said), *(element("th", element("span", word)) for word in words))
    grid = element("table", element("thead", head), element("tbody", *rows), class_="confusion")
    return element("div", grid, class_="wide")


def _percent(share: float) -> str:
    return "" if not share else f"{share:.1f}" if share < 9.95 else f"{share:.0f}"


def flash_by_layer(networks: Mapping[str, Layers]) -> Markup:
    """A row a layer that stores something, the largest first, a column a network; all bars on one scale.

    Beyond `MOST_LAYERS` the smaller ones share a row.
    """
    most = {
        name: max(layers[name]["weights_bytes"] or 0 for layers in networks.values() if name in layers)
        for name in dict.fromkeys(name for layers in networks.values() for name in layers)
    }
    names = sorted((name for name in most if most[name]), key=lambda name: -most[name])
    rows = []
    for name in names[:MOST_LAYERS]:
        cells = [_flash(layers.get(name), most[names[0]]) for layers in networks.values()]
        rows.append(element("tr", element("td", name), *cells))
    rest = names[MOST_LAYERS:]
    if rest:
        rows.append(_sums(f"{len(rest)} smaller layers", rest, networks))
    rows.append(_sums("all", names, networks))
    return table(("layer", *networks), rows, numbers=False)


def _sums(label: str, names: Sequence[str], networks: Mapping[str, Layers]) -> Markup:
    sums = [sum(layers[name]["weights_bytes"] or 0 for name in names if name in layers) for layers in networks.values()]
    return element("tr", element("td", label), *(element("td", _kib(count)) for count in sums), class_="total")


def _flash(layer: Mapping[str, Any] | None, most: int) -> Markup:
    if layer is None or layer["weights_bytes"] is None:
        return element("td", element("span", "-", class_="count"))
    precision = (layer.get("precision") or {}).get("weights", "")
    bar = element("span", class_="bar", style=f"width: {BAR * layer['weights_bytes'] / most:.2f}rem")
    return element("td", _kib(layer["weights_bytes"]), element("small", precision), bar, class_="bars")


def _kib(count: int) -> Markup:
    return element("span", f"{to_kib(count):.1f}", class_="count")
