"""The pictures of a page: flash by layer, and RAM over time."""

from __future__ import annotations

from collections.abc import Sequence

from hybridq.arena.planners import Lifetime
from hybridq.profiler.render.markup import COLOURS, Markup, element, rect, shortened, svg, text
from hybridq.profiler.report import Row
from hybridq.settings.units import format_size

WIDTH = 960  # of a picture, in its own units
MOST_BARS = 30  # layers with a bar of their own
MOST_NAMES = 60  # below the RAM


def flash_by_layer(rows: Sequence[Row]) -> Markup:
    """The layers that store something, the largest first; many small ones share the last bar."""
    stored = sorted(((row.weights_bytes, row) for row in rows if row.weights_bytes), key=lambda pair: -pair[0])
    bars = [(row.name, str(row.precision.weights) if row.precision else "", count) for count, row in stored[:MOST_BARS]]
    if rest := stored[MOST_BARS:]:
        bars.append((f"{len(rest)} smaller layers", "", sum(count for count, _ in rest)))
    if not bars:
        return Markup()
    left, right, high = 230, 190, 22
    scale = (WIDTH - left - right) / max(count for _, _, count in bars)
    shapes = []
    for i, (name, weights, count) in enumerate(bars):
        y, length = i * high, max(count * scale, 1)
        about, colour = element("title", f"{name}: {count:,} B"), COLOURS[weights or "float32"]
        shapes.append(text(left - 8, y + 14, shortened(name, left - 8), text_anchor="end"))
        shapes.append(rect(left, y + 3, length, high - 7, about, fill=colour))
        shapes.append(text(left + length + 8, y + 14, f"{format_size(count)}  {weights}".rstrip()))
    return _figure("Flash by layer, the largest first", svg(WIDTH, len(bars) * high, "Flash by layer", *shapes))


def ram_over_time(steps: Sequence[str], peak: str, lifetimes: Sequence[Lifetime]) -> Markup:
    """Time to the right, one column a step; addresses upwards; each tensor a rectangle, in another colour at the peak.

    `steps` are names, `peak` that of the step that needs most; empty where there is nothing to draw.
    """
    if not (steps and lifetimes):
        return Markup()
    fullest, most = steps.index(peak), max(tensor.end for tensor in lifetimes)
    left, top, high, foot = 80, 24, 320, 130
    column, scale = (WIDTH - left - 10) / len(steps), high / most
    shapes = [
        text(left - 8, top + high * (1 - part) + 4, format_size(round(most * part)), text_anchor="end")
        for part in (0, 0.25, 0.5, 0.75, 1)
    ]
    for tensor in lifetimes:
        x, width = left + tensor.first * column, (tensor.last - tensor.first + 1) * column
        y, height = top + (most - tensor.end) * scale, tensor.bytes * scale
        colour = COLOURS["binary" if tensor.first <= fullest <= tensor.last else "8-bit"]
        about = element("title", f"{tensor.tensor}: {tensor.bytes:,} B at {tensor.offset:,}")
        look: dict[str, str | float] = {"fill": colour, "fill_opacity": 0.3, "stroke": colour}
        shapes.append(rect(x + 1, y, max(width - 2, 1), height, about, **look))
        if height >= 14:  # in its last step the next tensor begins
            shapes.append(text(x + 5, y + 13, shortened(tensor.tensor, max(width - column, column) - 8)))
    every = -(-len(steps) // MOST_NAMES)
    for i, name in enumerate(steps):
        if i % every == 0 or i == fullest:
            x, y = left + (i + 0.5) * column, top + high + 14
            turned, weight = f"rotate(-50 {x:.1f} {y})", "bold" if i == fullest else "normal"
            name = shortened(name, foot * 1.2)
            shapes.append(text(x, y, name, text_anchor="end", transform=turned, font_weight=weight))
    dashed = {"stroke": COLOURS["binary"], "stroke_dasharray": "5 4"}
    shapes.append(element("line", x1=left, x2=WIDTH - 10, y1=top, y2=top, **dashed))
    summit = f"peak {most:,} B, in {peak}"
    shapes.append(text(WIDTH - 10, top - 8, shortened(summit, WIDTH - left), text_anchor="end"))
    picture = svg(WIDTH, top + high + foot, f"RAM over time: {summit}", *shapes)
    return _figure("RAM over time: where each tensor lies in the activation arena", picture)


def _figure(caption: str, picture: Markup) -> Markup:
    return element("figure", element("figcaption", caption), picture)
