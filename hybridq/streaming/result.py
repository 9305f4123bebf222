"""What a network scored on long audio: plain data, for a table, a picture and a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridq.speech.settings import DecisionSettings
from hybridq.streaming.outcome import Outcome, together
from hybridq.streaming.reuse import Reuse

OFFERED = (60.0, 30.0, 10.0, 5.0, 1.0, 0.0)  # false alarms an hour, for which thresholds are shown


@dataclass(frozen=True)
class Request:
    """What is asked for: the clips, the levels of noise (dB below the words), seconds of audio at each."""

    source: str | None
    split: str
    snrs: tuple[float, ...]
    seconds: float
    seed: int
    keep: Path | None = None  # a folder for the audio and its truth


@dataclass(frozen=True)
class StreamEvaluation:
    """A network on long audio: by SNR (dB) its outcome at the rule's threshold, and over all thresholds."""

    name: str
    counts: str  # which of its two forms was heard: INTEGER or KERAS of `hybridq.runs.measurement`
    request: Request
    settings: DecisionSettings
    at: Mapping[float, Outcome]
    curves: Mapping[float, tuple[Outcome, ...]]  # by rising threshold, the same ones at every SNR
    truth: tuple[dict[str, Any], ...]  # what is said when, scene by scene: `Scene.truth()`
    cost: Reuse | None  # None for an integer network's file, which does not say what it was made from
    synthetic: bool

    @property
    def whole(self) -> Outcome:
        """All SNRs as one."""
        return together(list(self.at.values()))

    def metrics(self) -> dict[str, float]:
        """For the run: see `hybridq.tracking.metrics`."""
        figures = {
            "stream false alarms per hour": self.whole.false_alarms_per_hour,
            "stream missed %": self.whole.missed,
            "stream threshold": self.settings.threshold,
        }
        return figures | ({} if self.whole.latency is None else {"stream latency ms": self.whole.latency})

    def thresholds(self) -> Iterator[Outcome]:
        """All SNRs as one: where the false alarms an hour fall to each of OFFERED, the lowest threshold."""
        points = [together(several) for several in zip(*self.curves.values(), strict=True)]
        first = (next((at for at in range(len(points)) if _from_here(points, at) <= most), None) for most in OFFERED)
        yield from (points[at] for at in dict.fromkeys(first) if at is not None)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data, as a run keeps it in `stream test.json`."""
        return {
            "name": self.name,
            "network": self.counts,
            "split": self.request.split,
            "seed": self.request.seed,
            "seconds_per_snr": self.request.seconds,
            "synthetic": self.synthetic,
            "decision": self.settings.model_dump(),
            "whole": self.whole.to_json(),
            "snr": [
                {"snr_db": snr, **one.to_json(), "curve": [point.to_json() for point in self.curves[snr]]}
                for snr, one in self.at.items()
            ],
            "cost": self.cost.to_json() if self.cost else None,
        }


def _from_here(points: Sequence[Outcome], at: int) -> float:
    """The most false alarms an hour at this threshold or a higher one: a rest after a command hides some below."""
    return max(one.false_alarms_per_hour for one in points[at:])
