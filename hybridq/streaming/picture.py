"""The picture of a stream: missed commands over false alarms an hour as the threshold moves."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from hybridq.results.drawing import COLOURS, titled_figure
from hybridq.streaming.result import StreamEvaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def alarm_curves(result: StreamEvaluation) -> Figure:
    """A line for each SNR; marked: the threshold."""
    fig, axes = titled_figure(7.5, 4.8, f"{result.name}: a stream of {result.request.split} clips", result.synthetic)
    threshold = f"threshold {result.settings.threshold:g}"
    for (snr, points), colour in zip(result.curves.items(), cycle(COLOURS), strict=False):
        line = [one.false_alarms_per_hour for one in points], [one.missed for one in points]
        axes.plot(*line, color=colour, drawstyle="steps-pre", label=f"words {snr:g} dB over the noise")
        here = result.at[snr].false_alarms_per_hour, result.at[snr].missed
        axes.plot(*here, "o", mfc="white", mec="black", ms=8, zorder=5, label=threshold)
        threshold = "_"  # the legend names it once
    axes.set_xscale("symlog", linthresh=10)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    axes.set_xlabel("false alarms per hour")
    axes.set_ylabel("missed commands, %")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return fig
