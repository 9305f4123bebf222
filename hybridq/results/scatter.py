"""Pictures of networks as points: accuracy over flash, memory over operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hybridq.results.drawing import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    empty_figure,
    keep_apart,
    keep_inside,
    plain_logarithmic,
    shortened,
    titled,
)
from hybridq.settings.units import KIB, MIB

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hybridq.results.comparison import Comparison

MOST_NAMED = 12  # networks in one picture; of more, those on the front


def frontier(comparison: Comparison, *, title: str | None = None) -> Figure:
    """Accuracy over flash (logarithmic): our networks with their 95 % interval, the published ones hollow.

    A line joins those that no other beats; of more than a dozen these alone are named.
    """
    fig = empty_figure(7.5, 4.6)
    axes = fig.add_subplot()
    rows, best = comparison.rows, comparison.front
    ours = [(row, row["flash_kib"]) for row in rows if row["flash_kib"]]
    labels = []
    for at, (row, kib) in enumerate(ours):
        mean, low, high = row["accuracy"], row["low"], row["high"]
        bars = [[mean - (low or mean)], [(high or mean) - mean]]
        style: dict[str, Any] = {"fmt": "o", "color": BLUE, "capsize": 4, "ms": 8}
        label = "hybridq" + ", 95 % interval" * (low is not None) if at == 0 else None
        axes.errorbar(kib, mean, bars, label=label, **style)
        if len(ours) > MOST_NAMED and row not in best:
            continue
        name = f"{shortened(row.network)}\n{kib:.0f} KiB"
        # Below the point: the front goes on to the right.
        place: dict[str, Any] = {"textcoords": "offset points", "va": "top", "fontsize": 9}
        labels.append(axes.annotate(name, (kib, mean), (6, -3), **place))
    if len(best) > 1:
        steps = [row["flash_kib"] or 0.0 for row in best], [row["accuracy"] for row in best]
        axes.step(*steps, where="post", color=GREEN, lw=1.5, zorder=0, label="Pareto front")
    published = [row["published"] for row in rows if {"flash_mb", "accuracy"} <= set(row["published"])]
    published = [figures for at, figures in enumerate(published) if figures not in published[:at]]
    for at, figures in enumerate(published):
        point = float(figures["flash_mb"]) * MIB / KIB, float(figures["accuracy"])
        label = "published, on other data" if at == 0 else None
        axes.plot(*point, "s", mfc="none", color=ORANGE, ms=9, label=label)
        name = figures.get("label", "published")
        place = {"textcoords": "offset points", "va": "center", "fontsize": 9, "ha": "right", "color": ORANGE}
        labels.append(axes.annotate(name, point, (-9, 0), **place))
    limit: list[Any] = []
    board = next((100 * kib / row["flash_share"] for row, kib in ours if row["flash_share"]), None)
    if board and comparison.clips == "test":  # plans and trials are chosen within narrower limits
        axes.axvline(board, color=GREY, ls=":")
        at_foot: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points", "color": GREY}
        limit = [axes.annotate("flash of the board", (board, 0.02), (4, 0), **at_foot)]
    axes.set_xscale("log")
    plain_logarithmic(axes.xaxis)
    axes.set_xlabel("flash, KiB")
    axes.set_ylabel(f"{comparison.clips} {comparison.score}, %")
    axes.margins(x=0.14, y=0.18)
    axes.grid(alpha=0.3)
    fig.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=9)
    said = title or f"{comparison.score[0].upper()}{comparison.score[1:]} over flash"
    axes.set_title(titled(said, comparison.synthetic))
    keep_inside(fig, axes, labels + limit)
    keep_apart(fig, labels)
    return fig


def memory_over_operations(
    families: Mapping[str, Sequence[tuple[float, float]]], limits: Mapping[str, tuple[float, float]]
) -> Figure:
    """Networks, each (million operations, KB of memory), by family; the limits of classes as dashed corners.

    Both axes are logarithmic. A family beyond the colours there are is grey, and named beside its last point.
    """
    fig = empty_figure(8.0, 5.4)
    axes = fig.add_subplot()
    labels = []
    place: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 9, "color": GREY}
    for at, (family, networks) in enumerate(families.items()):
        coloured = at < len(COLOURS)
        style: dict[str, Any] = {"color": COLOURS[at], "label": family} if coloured else {"color": GREY}
        marker = MARKERS[at] if coloured else "."
        axes.plot(*zip(*networks, strict=True), marker, mfc="none", mew=1.8, ms=9, zorder=3, **style)
        if not coloured:
            labels.append(axes.annotate(family, networks[-1], (-9, 0), ha="right", **place))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(0.08)
    left, low = axes.get_xlim()[0], axes.get_ylim()[0]
    for name, (operations, memory) in limits.items():
        axes.plot([left, operations, operations], [memory, memory, low], "--", color=GREY, scalex=False, scaley=False)
        axes.annotate(f"{name}: {memory:g} KB, {operations:g} M", (left, memory), (6, 7), **place)
    plain_logarithmic(axes.xaxis, axes.yaxis)
    axes.set_xlabel("operations of an inference, millions")
    axes.set_ylabel("weights and activations in 8 bits, KB")
    axes.grid(alpha=0.3)
    fig.legend(frameon=False, loc="outside lower center", ncols=4, fontsize=9)
    keep_apart(fig, labels)
    return fig
