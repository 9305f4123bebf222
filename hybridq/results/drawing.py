"""What all pictures share: the empty figure, its title and colours, logarithmic axes, labels apart, the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.data.task import SYNTHETIC_WARNING
from hybridq.errors import NotWritable, UserError
from hybridq.paths import check_free

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]  # left, bottom, right, top, pixels

# Okabe and Ito's colours, which people of every colour vision tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"  # one for each colour
GAP = 1.0  # between labels, pixels
DPI = 150
MADE_BY = "Drawn by hybridq"  # in the file, under the name that its kind has for that:
MAKER = {".png": "Software", ".svg": "Creator", ".pdf": "Creator"}
LONGEST = 40  # characters of a name in a picture


def empty_figure(width: float, height: float) -> Figure:
    """A figure without axes, of that size in inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))


def titled_figure(width: float, height: float, title: str, synthetic: bool) -> tuple[Figure, Axes]:
    """A picture with one pair of axes, for a part of hybridq that draws its own; inches."""
    fig, (axes,) = titled_figures(width, height, title, synthetic, 1)
    return fig, axes


def titled_figures(width: float, height: float, title: str, synthetic: bool, panels: int) -> tuple[Figure, list[Axes]]:
    """A picture with several pairs of axes beside each other, which share what is upwards; inches."""
    fig = empty_figure(width, height)
    every = list(fig.subplots(1, panels, sharey=True, squeeze=False)[0])
    if panels == 1:
        every[0].set_title(titled(title, synthetic))
    else:
        fig.suptitle(titled(title, synthetic))
    return fig, every


def titled(text: str, synthetic: bool) -> str:
    """A title, which says where figures are those of synthetic data."""
    return f"{text}\n{SYNTHETIC_WARNING}" if synthetic else text


def plain_logarithmic(*axes: Axis) -> None:
    """Mark logarithmic axes at 1, 2 and 5 times each power of ten, in plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for axis in axes:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def shortened(name: str) -> str:
    """A name as it fits into a picture."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def keep_inside(fig: Figure, axes: Axes, labels: Sequence[Any]) -> None:
    """Put labels that would cross the right edge to the left of their points."""
    fig.draw_without_rendering()
    edge = axes.get_window_extent().x1
    for label in labels:
        if label.get_window_extent().x1 > edge:
            label.set_horizontalalignment("right")
            label.xyann = (-label.xyann[0], label.xyann[1])


def keep_apart(fig: Figure, labels: Sequence[Any]) -> None:
    """Move labels up and down until none lies on another; they keep their order, and a white edge keeps lines off them.

    Pushing them all down is one way, pushing them all up another. Their mean keeps the distances that both keep.
    """
    from matplotlib.patheffects import withStroke

    fig.draw_without_rendering()
    for label in labels:
        label.set_path_effects([withStroke(linewidth=2, foreground="white")])
    ordered = sorted(labels, key=lambda label: -float(label.get_window_extent().y1))
    boxes: list[Box] = [label.get_window_extent().extents for label in ordered]
    down = _pushed_down(boxes)
    up = [-move for move in reversed(_pushed_down([(x0, -y1, x1, -y0) for x0, y0, x1, y1 in reversed(boxes)]))]
    for label, *moves in zip(ordered, down, up, strict=True):
        across, along = label.xyann
        label.xyann = (across, along + sum(moves) / 2 * 72 / fig.dpi)  # pixels to points


def _pushed_down(boxes: Sequence[Box]) -> list[float]:
    """How far each box must move, not upwards, to lie below all before it that stand in its way."""
    moves: list[float] = []
    for x0, _, x1, y1 in boxes:
        above = [o[1] + move for o, move in zip(boxes, moves, strict=False) if o[0] < x1 and x0 < o[2]]
        moves.append(min([0.0, *(edge - GAP - y1 for edge in above)]))
    return moves


def check_picture(option: str, path: Path) -> None:
    """Raise UserError for a file that `save` cannot write, or that is there already and not from it.

    option: the one that names it, for the message.
    """
    if path.suffix.lower() not in MAKER:
        raise UserError(f"{option} {path}: a picture is written as {', '.join(MAKER)}")
    check_free(option, path, MADE_BY, "no picture of hybridq's")


def save(fig: Figure, path: Path) -> None:
    """Write a picture for whose file there was `check_picture`. Raises NotWritable."""
    try:
        fig.savefig(path, metadata={MAKER[path.suffix.lower()]: MADE_BY})
    except OSError as error:
        raise NotWritable(path, error) from error
