"""The picture of a stream: missed commands over false alarms an hour as the threshold moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hybridq.pictures import COLOURS, titled_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hybridq.streaming.evaluation import StreamEvaluation


def alarm_curves(found: StreamEvaluation) -> Figure:
    """A line for each SNR; marked: the threshold."""
    fig, axes = titled_figure(7.5, 4.8, f"{found.name}: a stream of {found.request.split} clips", found.synthetic)
    lines = zip(found.curves.items(), COLOURS * len(found.curves), strict=False)
    for at, ((snr, points), colour) in enumerate(lines):
        axes.plot(
            [one.false_alarms_per_hour for one in points], [one.missed for one in points], color=colour,
            drawstyle="steps-post", label=f"{snr:g} dB over the noise",
        )  # fmt: skip
        here = found.at[snr]
        label = f"threshold {here.threshold:g}" if at == 0 else None
        axes.plot(here.false_alarms_per_hour, here.missed, "o", mfc="white", mec=colour, ms=8, zorder=5, label=label)
    axes.set_xscale("symlog", linthresh=10)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    axes.set_xlabel("false alarms per hour")
    axes.set_ylabel("missed commands, %")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return fig
