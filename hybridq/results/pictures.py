"""Pictures of a result: confusion matrix, learning curves, false accepts, flash by layer, accuracy over flash.

Each function returns a `matplotlib.figure.Figure` of its own: no pyplot, no screen needed.
"""

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
from hybridq.settings.units import KIB, MIB, to_kib
from hybridq.speech.decision import FALSE_ACCEPTS, FALSE_REJECTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from hybridq.results.comparison import Comparison
    from hybridq.search.sensitivity import Sensitivity
    from hybridq.speech.decision import Decisions
    from hybridq.training.history import Epoch

Curve = Sequence[tuple[int, float]]  # (epoch, value)
ZOOM = 8.0  # points of accuracy below the best that the right half of `curves_together` shows
DARK = 0.6  # share of a scale from which on figures are white
MOST_NAMED = 12  # networks in one picture; of more, those on the front
SMALLEST_SHARE = 0.05  # percent of the flash below which a layer is left out of the picture


def confusion(counts: ArrayLike, words: Sequence[str], *, title: str, synthetic: bool) -> Figure:
    """The confusion matrix: rows the word said, columns the word heard; percent, counts beneath."""
    import numpy as np

    table = np.asarray(counts, dtype=float)
    percent = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = max(5.0, 0.62 * len(words) + 2.0)
    fig = empty_figure(size + 0.6, size)
    axes = fig.add_subplot()
    image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for said in range(len(words)):
        for heard in range(len(words)):
            if table[said, heard]:
                dark = percent[said, heard] > 55
                axes.text(
                    heard,
                    said,
                    f"{percent[said, heard]:.0f}\n({table[said, heard]:.0f})",
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if dark else "black",
                )
    axes.set_xticks(range(len(words)), words, rotation=45, ha="right")
    axes.set_yticks(range(len(words)), words)
    axes.set_xlabel("word heard")
    axes.set_ylabel("word said")
    fig.colorbar(image, ax=axes, label="% of the clips of the word said", fraction=0.046, pad=0.03)
    right = 100 * np.trace(table) / max(table.sum(), 1)
    axes.set_title(titled(f"{title}: {right:.1f} % of {table.sum():.0f} clips right", synthetic))
    return fig


def learning_curves(epochs: Sequence[Epoch], *, title: str, synthetic: bool) -> Figure:
    """Accuracy and loss over the epochs, training and validation; the epoch that was kept is marked."""
    from matplotlib.ticker import MaxNLocator

    fig = empty_figure(9.0, 3.8)
    fig.suptitle(titled(title, synthetic))
    steps = [epoch.epoch for epoch in epochs]
    best = max(epochs, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss), default=None)
    panels = (
        ("accuracy, %", "training_accuracy", "validation_accuracy"),
        ("loss", "training_loss", "validation_loss"),
    )
    for at, (label, *names) in enumerate(panels):
        axes = fig.add_subplot(1, 2, at + 1)
        legends = ("training, augmented", "validation")
        for name, legend, colour, style in zip(names, legends, (BLUE, ORANGE), ("--", "-"), strict=True):
            values = [getattr(epoch, name) for epoch in epochs]
            axes.plot(steps, values, style, color=colour, label=legend, marker="." if len(steps) < 40 else "")
        if best:
            value, mark = getattr(best, names[1]), f"kept: epoch {best.epoch}"
            axes.plot(best.epoch, value, "o", mfc="none", ms=10, color="black", label=mark)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return fig


def curves_together(curves: Mapping[str, Sequence[Curve]], *, title: str, synthetic: bool) -> Figure:
    """Validation accuracy over the epochs: by network, a curve (epoch, percent) for each seed; right, the top of it."""
    from matplotlib.ticker import MaxNLocator

    fig = empty_figure(9.0, 4.2)
    fig.suptitle(titled(title, synthetic))
    whole, top = fig.subplots(1, 2)
    for at, (network, seeds) in enumerate(curves.items()):
        several = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
        for seed, curve in enumerate(seeds):
            label = network + several if seed == 0 and at < len(COLOURS) else None
            style: dict[str, Any] = {"color": COLOURS[at % len(COLOURS)], "lw": 1.0, "marker": ".", "ms": 3}
            for axes in (whole, top):
                axes.plot(*zip(*curve, strict=True), label=label, **style)
    values = [value for seeds in curves.values() for curve in seeds for _, value in curve]
    if values:
        top.set_ylim(max(values) - ZOOM, max(values) + ZOOM / 16)
    for axes, name in ((whole, "all"), (top, f"the last {ZOOM:g} points")):
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation accuracy, %")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    fig.legend(*whole.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=3, fontsize=9)
    return fig


def decision_curves(splits: Mapping[str, Decisions], threshold: float, *, title: str, synthetic: bool) -> Figure:
    """False accepts over false rejects as the threshold moves, percent; marked: where it is.

    Of the first split also what was accepted falsely, kind by kind; of the others (dashed) the whole.
    """
    mark = f"threshold {threshold:g}"
    fig = empty_figure(7.5, 4.8)
    axes = fig.add_subplot()
    for at, (split, found) in enumerate(splits.items()):
        rates = [rates for _, rates in found.curve() if FALSE_ACCEPTS in rates and FALSE_REJECTS in rates]
        for name, colour in zip([FALSE_ACCEPTS, *found.others] if at == 0 else [FALSE_ACCEPTS], COLOURS, strict=False):
            whole = name == FALSE_ACCEPTS
            label = f"{split}: {'all' if whole else name.removeprefix(f'{FALSE_ACCEPTS} of ')}"
            style: dict[str, Any] = {"color": "black" if whole else colour, "lw": 2 if whole else 1.2}
            points = [(one[FALSE_REJECTS].percent, one[name].percent) for one in rates]
            axes.plot(*zip(*points, strict=True), ls="--" if at else "-", label=label, **style)
        here = found.rates(threshold)
        if rates:
            point = here[FALSE_REJECTS].percent, here[FALSE_ACCEPTS].percent
            axes.plot(*point, "o", mfc="white", mec="black", ms=8, zorder=5, label=mark if at == 0 else None)
    axes.set_xlabel("false rejects: clips of a command answered with none, %")
    axes.set_ylabel("false accepts: clips of no command answered with one, %")
    axes.set_xlim(0, 50)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:  # there are none where a split has nothing but commands
        axes.legend(frameon=False)
    axes.set_title(titled(title, synthetic))
    return fig


def flash_by_layer(profile: Mapping[str, Any], *, title: str, synthetic: bool) -> Figure:
    """Bytes of flash by layer, largest first, with share; `profile` is `Profile.to_json()`.

    Layers below 0.05 % are counted in one line beneath.
    """
    layers = sorted(profile["layers"], key=lambda layer: -layer["weights_bytes"])
    shown = [layer for layer in layers if layer["flash_share"] >= SMALLEST_SHARE]
    fig = empty_figure(8.0, 1.6 + 0.34 * max(len(shown), 1))
    axes = fig.add_subplot()
    sizes = [to_kib(layer["weights_bytes"]) for layer in shown]
    bars = axes.barh([layer["name"] for layer in shown], sizes, color=BLUE)
    labels = [f"{size:.1f} KiB, {layer['flash_share']:.1f} %" for size, layer in zip(sizes, shown, strict=True)]
    axes.bar_label(bars, labels, padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max(sizes, default=1) * 1.28)
    rest = len(layers) - len(shown)
    left_out = f"   (not drawn, below {SMALLEST_SHARE} %: {rest})" if rest else ""
    axes.set_xlabel("flash, KiB" + left_out)
    axes.spines[["top", "right"]].set_visible(False)
    total = to_kib(profile["totals"]["flash_bytes"])
    axes.set_title(titled(f"{title}: {total:.1f} KiB of flash", synthetic))
    return fig


def sensitivities(table: Sensitivity) -> Figure:
    """Layers by precisions: the rise of the cross-entropy, the fall of the accuracy, the flash saved."""
    import numpy as np

    layers = list(table.own)
    precisions = sorted({change.precision for change in table.changes}, key=lambda precision: -precision.bits)
    panels = (
        ("cross-entropy rises by, nats", "OrRd", {(c.layer, c.precision): c.rise for c in table.changes}, "+.3f"),
        ("accuracy falls by, points", "OrRd", {(c.layer, c.precision): c.drop for c in table.changes}, "+.2f"),
        ("flash saved, KiB", "Blues", {(c.layer, c.precision): to_kib(c.saved_bytes) for c in table.changes}, ".1f"),
    )
    fig = empty_figure(3.0 + 2.4 * len(panels), 2.0 + 0.32 * len(layers))
    for place, (heading, colours, values, form) in enumerate(panels):
        axes = fig.add_subplot(1, len(panels), place + 1)
        grid = np.array([[values.get((layer, to), np.nan) for to in precisions] for layer in layers])
        top = max(float(np.nanmax(grid)), 1e-9)
        axes.imshow(grid, cmap=colours, vmin=0, vmax=top, aspect="auto")  # a gain looks as nothing lost does
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                dark = value > DARK * top
                axes.text(column, row, f"{value:{form}}", ha="center", va="center", fontsize=8, color="wk"[not dark])
        axes.set_xticks(range(len(precisions)), [str(precision) for precision in precisions])
        axes.set_yticks(range(len(layers)), layers if place == 0 else [])
        axes.set_title(heading, fontsize=10)
    after = f"after {table.epochs} epoch{'s' * (table.epochs != 1)}" if table.epochs else "without training"
    said = f"{table.name}: one layer narrower, {after}; {table.clips:,} validation clips"
    fig.suptitle(titled(said, table.synthetic))
    return fig


def frontier(found: Comparison, *, title: str = "Accuracy over flash") -> Figure:
    """Accuracy over flash (logarithmic): our networks with their 95 % interval, the published ones hollow.

    A line joins those that no other beats; of more than a dozen these alone are named.
    """
    fig = empty_figure(7.5, 4.6)
    axes = fig.add_subplot()
    rows, best = found.rows, found.front
    ours = [(row, row.flash_kib) for row in rows if row.flash_kib]
    labels = []
    for at, (row, kib) in enumerate(ours):
        below, above = row.accuracy - (row.low or row.accuracy), (row.high or row.accuracy) - row.accuracy
        style: dict[str, Any] = {"fmt": "o", "color": BLUE, "capsize": 4, "ms": 8}
        label = "hybridq" + ", 95 % interval" * (row.low is not None) if at == 0 else None
        axes.errorbar(kib, row.accuracy, [[below], [above]], label=label, **style)
        if len(ours) > MOST_NAMED and row not in best:
            continue
        name = f"{shortened(row.network)}\n{kib:.0f} KiB"
        # Below the point: the front goes on to the right.
        place: dict[str, Any] = {"textcoords": "offset points", "va": "top", "fontsize": 9}
        labels.append(axes.annotate(name, (kib, row.accuracy), (6, -3), **place))
    if len(best) > 1:
        steps = [row.flash_kib or 0.0 for row in best], [row.accuracy for row in best]
        axes.step(*steps, where="post", color=GREEN, lw=1.5, zorder=0, label="Pareto front")
    published = [row.published for row in rows if {"flash_mb", "accuracy"} <= set(row.published)]
    published = [figures for at, figures in enumerate(published) if figures not in published[:at]]
    for at, figures in enumerate(published):
        point = float(figures["flash_mb"]) * MIB / KIB, float(figures["accuracy"])
        label = "published, on other data" if at == 0 else None
        axes.plot(*point, "s", mfc="none", color=ORANGE, ms=9, label=label)
        name = figures.get("label", "published")
        place = {"textcoords": "offset points", "va": "center", "fontsize": 9, "ha": "right", "color": ORANGE}
        labels.append(axes.annotate(name, point, (-9, 0), **place))
    limit: list[Any] = []
    board = next((100 * kib / row.flash_share for row, kib in ours if row.flash_share), None)
    if board and found.clips == "test":  # plans and trials are chosen within narrower limits
        axes.axvline(board, color=GREY, ls=":")
        at_foot: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points", "color": GREY}
        limit = [axes.annotate("flash of the board", (board, 0.02), (4, 0), **at_foot)]
    axes.set_xscale("log")
    plain_logarithmic(axes.xaxis)
    axes.set_xlabel("flash, KiB")
    axes.set_ylabel(f"{found.clips} accuracy, %")
    axes.margins(x=0.14, y=0.18)
    axes.grid(alpha=0.3)
    fig.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=9)
    axes.set_title(titled(title, found.synthetic))
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
