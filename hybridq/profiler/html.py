"""The report as one HTML page: no script, nothing from elsewhere, readable in light, in dark and on paper.

Works on the report's plain data (`Profile.to_json`). Names of layers are a stranger's text: `element` is the only
place where markup is made, and it escapes whatever is not markup already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from hybridq.profiler.planners import Lifetime
from hybridq.profiler.tables import size

Json = Mapping[str, Any]

# Each has a contrast of 3:1 or more against white and against the near-black of dark pages.
COLOURS = {"float32": "#767676", "8-bit": "#0072b2", "4-bit": "#00875f", "ternary": "#a6589a", "binary": "#c85200"}
MOST_BARS = 30
WIDTH = 960  # of a picture, in its own units
STYLE = """
.hybridq { font: 14px/1.45 system-ui, sans-serif; max-width: 72rem; font-variant-numeric: tabular-nums; }
.hybridq table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; font-size: inherit; }
.hybridq th, .hybridq td { padding: 0.2rem 0.6rem; text-align: left; vertical-align: middle;
  border-bottom: 1px solid rgb(128 128 128 / 0.35); }
.hybridq td.text, .hybridq td.number { white-space: nowrap; }
.hybridq td.number, .hybridq th.number { text-align: right; }
.hybridq td.name { overflow-wrap: anywhere; min-width: 8rem; }
.hybridq tr.dominant td.name { font-weight: 700; }
.hybridq .wide { overflow-x: auto; }
.hybridq .warning { border-left: 0.3rem solid #c85200; padding-left: 0.6rem; font-weight: 600; }
.hybridq figure { margin: 1rem 0 1.5rem; }
.hybridq figcaption { font-weight: 600; margin-bottom: 0.4rem; }
.hybridq svg { vertical-align: middle; }
.hybridq figure svg { width: 100%; height: auto; max-width: 960px; }
.hybridq text { fill: currentColor; font-size: 12px; font-family: system-ui, sans-serif; }
@media print {
  .hybridq { font-size: 9px; max-width: none; }
  .hybridq th, .hybridq td { padding: 0.1rem 0.25rem; }
  .hybridq .wide { overflow: visible; }
  .hybridq tr, .hybridq figure { break-inside: avoid; }
}
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body {{ margin: 1.5rem; background: Canvas; color: CanvasText; }}</style>
</head>
<body>
{body}
</body>
</html>
"""


def page(data: Json, lifetimes: Sequence[Lifetime] = ()) -> str:
    """A whole page from a report's plain data; with the tensors' `Lifetime`s it has the picture of the RAM too."""
    return PAGE.format(title=escape(_title(data)), body=fragment(data, lifetimes))


def fragment(data: Json, lifetimes: Sequence[Lifetime] = ()) -> str:
    """The same without the page around it, for notebooks."""
    parts = [
        element("style", Markup(STYLE)),
        element("h1", _title(data)),
        _verdict(data),
        element("div", _totals(data), class_="wide"),
        element("div", _layers(data), class_="wide"),
        _flash_picture(data["layers"]),
    ]
    if lifetimes:
        parts.append(_ram_picture([layer["name"] for layer in data["layers"]], lifetimes))
    return element("div", *parts, _notes(data), class_="hybridq")


# ------------------------------------------------------------------------------------------------- markup


class Markup(str):
    """Text that is markup already."""


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """One element; children that are no Markup are escaped, and all attributes (`class_` is class, `_` is -)."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items())
    inside = "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    return Markup(f"<{name}{given}>{inside}</{name}>")


def _cells(kind: str, texts: Sequence[str], numbers: Sequence[int]) -> Markup:
    cells = (element(kind, text, class_="number" if i in numbers else "text") for i, text in enumerate(texts))
    return Markup("".join(cells))


# ----------------------------------------------------------------------------------------------- the text


def _title(data: Json) -> str:
    return f"{data['name'] or 'Network'} on {data['target']['label']}"


def _verdict(data: Json) -> Markup:
    fits, board = data["totals"]["fits"], data["target"]
    about = ", ".join(filter(None, (board.get("core"), board.get("clock_mhz") and f"{board['clock_mhz']} MHz")))
    said = f"{'Fits' if fits else 'Does not fit'} {board['label']}" + (f" ({about})" if about else "")
    return element("p", said, class_="verdict" if fits else "warning")


def _totals(data: Json) -> Markup:
    totals, board = data["totals"], data["target"]
    rows: list[tuple[str, ...]] = []
    for label, kind in (("Flash", "flash"), ("RAM", "ram")):
        share = totals[f"target_{kind}_share"]
        said = f"{share:.1f} % of {size(board[f'{kind}_bytes'])}"
        figure = f"{size(totals[f'{kind}_bytes'])} ({totals[f'{kind}_bytes']:,} B)"
        rows.append((label, figure, _bar(share, 200, COLOURS["binary" if share > 100 else "8-bit"]), said))
    rows.append(("MACC", f"{totals['macc']:,}", "", ""))
    rows.append(("Parameters", f"{totals['parameters']:,}", "", ""))
    return element("table", *(element("tr", _cells("td", row, (1,))) for row in rows))


def _layers(data: Json) -> Markup:
    head = ("Layer", "Output", "Weights", "Parameters", "Bytes", "Flash %", "", "MACC", "MACC %", "")
    numbers = (3, 4, 5, 7, 8)
    dominant = set(data.get("dominant", {}).get("layers", ()))
    rows = []
    for layer in data["layers"]:
        flash, macc = layer["weights_bytes"], layer["macc"]
        colour = COLOURS.get(_weights(layer), COLOURS["float32"])
        cells = (
            "x".join(map(str, layer["output_shape"])) or "?",
            _weights(layer) if layer["precision"] else "",
            *(_count(layer[key]) for key in ("parameters", "weights_bytes")),
            f"{layer['flash_share']:.1f}" if flash is not None else "?",
            _bar(layer["flash_share"], 80, colour),
            _count(macc),
            f"{layer['macc_share']:.1f}" if macc is not None else "?",
            _bar(layer["macc_share"], 80, COLOURS["float32"]),
        )
        name = element("td", " + ".join((layer["name"], *layer["marks"])), class_="name", title=layer["kind"])
        row_class = "dominant" if layer["name"] in dominant else "plain"
        rows.append(element("tr", name, _cells("td", cells, [n - 1 for n in numbers]), class_=row_class))
    return element(
        "table", element("thead", element("tr", _cells("th", head, numbers))), element("tbody", *rows), class_="layers"
    )


def _notes(data: Json) -> Markup:
    totals, parts = data["totals"], []
    missing = ", ".join(data.get("not_costed", ()))
    if missing:
        parts.append(element("p", f"Not costed, the totals leave them out: {missing}", class_="warning"))
    items = []
    if data.get("dominant", {}).get("layers"):
        names, share = data["dominant"]["layers"], data["dominant"]["flash_share"]
        items.append(f"{', '.join(names)}: {share:.1f} % of the flash")
    for label, flash in data.get("plans", {}).items():
        saved = 100 * (1 - flash / totals["flash_bytes"]) if totals["flash_bytes"] else 0.0
        items.append(f"With {label} weights: {size(flash)} of flash, {saved:.1f} % less")
    items += [f"{name}: {one['text']}" for name, one in data.get("estimates", {}).items() if one]
    if data.get("assumed"):
        items.append(f"Assumed, no published report has it: the MACC of {', '.join(data['assumed'])}")
    items.append(f"Accounting: {data['accounting']}; RAM: {data['planner']}")
    if board := data["target"].get("source"):
        items.append(f"{data['target']['label']}: {board}")
    return Markup("".join((*parts, element("ul", *(element("li", item) for item in items)))))


def _weights(layer: Json) -> str:
    """The precision of a layer's weights; a layer without a kernel stores floats."""
    return str(layer["precision"]["weights"]) if layer["precision"] else "float32"


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


# ----------------------------------------------------------------------------------------------- pictures


def _svg(width: float, height: float, label: str, *shapes: Markup) -> Markup:
    box = f"0 0 {width:g} {height:g}"
    return element("svg", *shapes, viewBox=box, width=width, height=height, role="img", aria_label=label)


def _rect(x: float, y: float, width: float, height: float, *inside: Markup, **look: str | float) -> Markup:
    place = {"x": round(x, 2), "y": round(y, 2), "width": round(width, 2), "height": round(height, 2)}
    return element("rect", *inside, **place, **look)


def _text(x: float, y: float, text: str, **look: str | float) -> Markup:
    return element("text", text, x=round(x, 2), y=round(y, 2), **look)


def _short(text: str, room: float, each: float = 7.0) -> str:
    """What fits in so many units, at `each` a character."""
    fits = max(int(room / each), 0)
    return text if len(text) <= fits else text[: fits - 1] + "…" if fits > 1 else ""


def _bar(share: float, width: int, colour: str) -> Markup:
    """A bar in a frame; more than 100 % is full."""
    frame = _rect(0.5, 0.5, width - 1, 11, fill="none", stroke="#767676", stroke_opacity=0.6)
    filled = _rect(0, 0, width * min(max(share, 0.0), 100.0) / 100, 12, fill=colour)
    return _svg(width, 12, f"{share:.1f} %", filled, frame)


def _flash_picture(layers: Sequence[Json]) -> Markup:
    """The layers that store something, the largest first; many small ones share the last bar."""
    stored = sorted((layer for layer in layers if layer["weights_bytes"]), key=lambda layer: -layer["weights_bytes"])
    bars = [(layer["name"], _weights(layer), layer["weights_bytes"]) for layer in stored[:MOST_BARS]]
    if rest := stored[MOST_BARS:]:
        bars.append((f"{len(rest)} smaller layers", "", sum(layer["weights_bytes"] for layer in rest)))
    most = max((count for _, _, count in bars), default=1)
    left, right, each = 230, 190, 22
    shapes = []
    for i, (name, weights, count) in enumerate(bars):
        y, length = i * each, (WIDTH - left - right) * count / most
        colour = COLOURS.get(weights, COLOURS["float32"])
        shapes.append(_text(left - 8, y + 14, _short(name, left - 8), text_anchor="end"))
        shapes.append(
            _rect(left, y + 3, max(length, 1), each - 7, element("title", f"{name}: {count:,} B"), fill=colour)
        )
        shapes.append(_text(left + length + 8, y + 14, f"{size(count)}  {weights}".rstrip()))
    picture = _svg(WIDTH, max(len(bars), 1) * each, "Flash by layer", *shapes)
    return element("figure", element("figcaption", "Flash by layer, the largest first"), picture)


def _ram_picture(steps: Sequence[str], lifetimes: Sequence[Lifetime]) -> Markup:
    """Time to the right, one column a step; addresses upwards; each tensor a rectangle. The fullest step is marked."""
    ends = [
        max((t.offset + t.bytes for t in lifetimes if t.first <= i <= t.last), default=0) for i in range(len(steps))
    ]
    peak = max(ends, default=0)
    fullest = ends.index(peak) if ends else 0
    left, top, high, foot = 80, 24, 320, 130
    column, scale = (WIDTH - left - 10) / max(len(steps), 1), high / max(peak, 1)
    shapes = [
        _text(left - 8, top + high * (1 - part) + 4, size(round(peak * part)), text_anchor="end")
        for part in (0, 0.25, 0.5, 0.75, 1)
    ]
    for tensor in lifetimes:
        x, width = left + tensor.first * column, (tensor.last - tensor.first + 1) * column
        height, y = tensor.bytes * scale, top + (peak - tensor.offset - tensor.bytes) * scale
        colour = COLOURS["binary" if tensor.first <= fullest <= tensor.last else "8-bit"]
        about = f"{tensor.tensor}: {tensor.bytes:,} B at {tensor.offset:,}"
        shapes.append(
            _rect(
                x + 1,
                y,
                max(width - 2, 1),
                height,
                element("title", about),
                fill=colour,
                fill_opacity=0.3,
                stroke=colour,
            )
        )
        if height >= 14:
            shapes.append(_text(x + 5, y + 13, _short(tensor.tensor, width - 8)))
    every = -(-len(steps) // 60)  # names where there is room for them
    for i, name in enumerate(steps):
        if i % every == 0 or i == fullest:
            x, y = left + (i + 0.5) * column, top + high + 14
            look = {"font_weight": "bold"} if i == fullest else {}
            shapes.append(
                _text(x, y, _short(name, foot * 1.2), text_anchor="end", transform=f"rotate(-50 {x:.1f} {y})", **look)
            )
    shapes.append(
        element("line", x1=left, x2=WIDTH - 10, y1=top, y2=top, stroke=COLOURS["binary"], stroke_dasharray="5 4")
    )
    said = f"peak {peak:,} B, in {steps[fullest]}" if steps else "no steps"
    shapes.append(_text(WIDTH - 10, top - 8, said, text_anchor="end"))
    picture = _svg(WIDTH, top + high + foot, f"RAM over time: {said}", *shapes)
    return element(
        "figure", element("figcaption", "RAM over time: where each tensor lies in the activation arena"), picture
    )
