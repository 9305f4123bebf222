"""Pictures of a result: confusion matrix, learning curves, false accepts, flash by layer, grids of figures.

Each function returns a `matplotlib.figure.Figure` of its own: no pyplot, no screen needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybridq.data.task import CLIPS
from hybridq.results.drawing import BLUE, COLOURS, ORANGE, empty_figure, titled
from hybridq.settings.units import to_kib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from hybridq.training.history import Epoch

Curve = Sequence[tuple[int, float]]  # (epoch, value)
ZOOM = 8.0  # points of accuracy below the best that the right half of `curves_together` shows
DARK = 0.6  # share of a scale from which on figures are white
ACCEPTS, REJECTS = "false accepts", "false rejects"  # rates of a decision, by name
MOST_CLASSES = 60  # of a confusion matrix that is drawn
SMALLEST_SHARE = 0.05  # percent of the flash below which a layer is left out of the picture


def confusion(counts: ArrayLike, words: Sequence[str], unit: str = CLIPS, *, title: str, synthetic: bool) -> Figure:
    """The confusion matrix: rows the word said, columns the word heard; percent, counts beneath.

    Of examples that are no clips, by their `unit`: the true class, and the class answered.
    """
    import numpy as np

    table = np.asarray(counts, dtype=float)
    percent = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = max(5.0, 0.62 * len(words) + 2.0)
    fig = empty_figure(size + 0.6, size)
    axes = fig.add_subplot()
    image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for row in range(len(words)):
        for column in range(len(words)):
            if table[row, column]:
                dark = percent[row, column] > 55
                axes.text(
                    column,
                    row,
                    f"{percent[row, column]:.0f}\n({table[row, column]:.0f})",
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if dark else "black",
                )
    axes.set_xticks(range(len(words)), words, rotation=45, ha="right")
    axes.set_yticks(range(len(words)), words)
    said, heard = ("word said", "word heard") if unit == CLIPS else ("true class", "class answered")
    axes.set_xlabel(heard)
    axes.set_ylabel(said)
    fig.colorbar(image, ax=axes, label=f"% of the {unit} of the {said}", fraction=0.046, pad=0.03)
    right = 100 * np.trace(table) / max(table.sum(), 1)
    axes.set_title(titled(f"{title}: {right:.1f} % of {table.sum():.0f} {unit} right", synthetic))
    return fig


def _count_epochs(axes: Axes) -> None:
    """Label the axis of epochs, with whole numbers also where there is one."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def learning_curves(epochs: Sequence[Epoch], *, title: str, synthetic: bool) -> Figure:
    """Accuracy, where there is one, and loss over the epochs, training and validation; the kept epoch is marked."""
    fig = empty_figure(9.0, 3.8)
    fig.suptitle(titled(title, synthetic))
    steps = [epoch.epoch for epoch in epochs]
    best = max(epochs, key=lambda epoch: (epoch.validation_accuracy or 0.0, -epoch.validation_loss), default=None)
    panels = [("loss", "training_loss", "validation_loss")]
    if not any(epoch.validation_accuracy is None for epoch in epochs):
        panels.insert(0, ("accuracy, %", "training_accuracy", "validation_accuracy"))
    for at, (label, *names) in enumerate(panels):
        axes = fig.add_subplot(1, len(panels), at + 1)
        legends = ("training, augmented", "validation")
        for name, legend, colour, style in zip(names, legends, (BLUE, ORANGE), ("--", "-"), strict=True):
            values = [getattr(epoch, name) for epoch in epochs]
            axes.plot(steps, values, style, color=colour, label=legend, marker="." if len(steps) < 40 else "")
        if best:
            value, mark = getattr(best, names[1]), f"kept: epoch {best.epoch}"
            axes.plot(best.epoch, value, "o", mfc="none", ms=10, color="black", label=mark)
        _count_epochs(axes)
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return fig


def curves_together(
    curves: Mapping[str, Sequence[Curve]], *, title: str, synthetic: bool, label: str = "validation accuracy, %"
) -> Figure:
    """Validation accuracy over the epochs: by network, a curve (epoch, percent) for each seed; right, the top of it.

    With another `label` they are of something else, a loss, and the right half shows the lowest tenth of it.
    """
    accuracy = label.endswith("%")
    fig = empty_figure(9.0, 4.2)
    fig.suptitle(titled(title, synthetic))
    whole, top = fig.subplots(1, 2)
    for at, (network, seeds) in enumerate(curves.items()):
        several = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
        for seed, curve in enumerate(seeds):
            name = network + several if seed == 0 and at < len(COLOURS) else None
            style: dict[str, Any] = {"color": COLOURS[at % len(COLOURS)], "lw": 1.0, "marker": ".", "ms": 3}
            for axes in (whole, top):
                axes.plot(*zip(*curve, strict=True), label=name, **style)
    values = [value for seeds in curves.values() for curve in seeds for _, value in curve]
    if values and accuracy:
        top.set_ylim(max(values) - ZOOM, max(values) + ZOOM / 16)
    elif values:
        span = (max(values) - min(values)) / 10 or 1.0
        top.set_ylim(min(values) - span / 10, min(values) + span)
    for axes, heading in ((whole, "all"), (top, f"the last {ZOOM:g} points" if accuracy else "the lowest tenth")):
        axes.set_title(heading, fontsize=10)
        _count_epochs(axes)
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    fig.legend(*whole.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=3, fontsize=9)
    return fig


def decision_curves(decisions: Mapping[str, Mapping[str, Any]], *, title: str, synthetic: bool) -> Figure:
    """False accepts over false rejects as the threshold moves, percent; marked: where it is.

    `decisions` are, by split, those of `Decisions.to_json()`. Of the first split also what was accepted falsely, kind
    by kind; of the others (dashed) the whole.
    """
    fig = empty_figure(7.5, 4.8)
    axes = fig.add_subplot()
    for at, (split, decision) in enumerate(decisions.items()):
        points = [point for point in decision["curve"] if ACCEPTS in point and REJECTS in point]
        kinds = [rate for rate in decision["rates"] if rate.startswith(ACCEPTS) and (at == 0 or rate == ACCEPTS)]
        for rate, colour in zip(kinds if points else [], COLOURS, strict=False):
            whole = rate == ACCEPTS
            label = f"{split}: {'all' if whole else rate.removeprefix(f'{ACCEPTS} of ')}"
            style: dict[str, Any] = {"color": "black" if whole else colour, "lw": 2 if whole else 1.2}
            line = [point[REJECTS] for point in points], [point[rate] for point in points]
            axes.plot(*line, ls="--" if at else "-", label=label, **style)
        if points:
            here = decision["rates"][REJECTS]["percent"], decision["rates"][ACCEPTS]["percent"]
            mark = f"threshold {decision['threshold']:g}" if at == 0 else None
            axes.plot(*here, "o", mfc="white", mec="black", ms=8, zorder=5, label=mark)
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


@dataclass(frozen=True)
class Panel:
    """A grid of figures by (row, column), those that are there; coloured from 0 up, a negative one as 0 is."""

    heading: str
    figures: Mapping[tuple[str, str], float]
    form: str  # how a figure is written, as in "+.2f"
    colours: str = "OrRd"  # a colour map of matplotlib


def grids(panels: Sequence[Panel], rows: Sequence[str], columns: Sequence[str], title: str) -> Figure:
    """Grids of the same rows and columns beside each other; the rows are named at the first."""
    import numpy as np

    fig = empty_figure(3.0 + 2.4 * len(panels), 2.0 + 0.32 * len(rows))
    for place, panel in enumerate(panels):
        axes = fig.add_subplot(1, len(panels), place + 1)
        grid = np.array([[panel.figures.get((row, column), np.nan) for column in columns] for row in rows])
        top = max(float(np.nanmax(grid)), 1e-9)
        axes.imshow(grid, cmap=panel.colours, vmin=0, vmax=top, aspect="auto")
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
                axes.text(column, row, f"{value:{panel.form}}", color="w" if value > DARK * top else "k", **look)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows if place == 0 else [])
        axes.set_title(panel.heading, fontsize=10)
    fig.suptitle(title)
    return fig
