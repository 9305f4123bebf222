"""What was heard, beside what was said: missed commands, false alarms, and how late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridq.streaming.rule import Moment, Rule, heard
from hybridq.streaming.scene import Scene, Utterance

LATE = 1.0  # seconds after its end in which a word may still be heard; less than the gap to the next
PLACES = ("commands", "other words", "noise")  # where a false alarm falls
THRESHOLDS = (*(percent / 100 for percent in range(100)), 0.995, 0.999, 1.0)  # of a curve


@dataclass(frozen=True)
class Outcome:
    """At one threshold. Latencies (ms) run from the end of a word to the moment at which it is heard.

    A command is a hit where it is heard from its start to LATE after its end. All else that is heard is a false alarm:
    another command, the same one again, another word, noise; `false_alarms` counts them by PLACES.
    """

    threshold: float
    seconds: float
    commands: int
    hits: int
    false_alarms: dict[str, int]
    latencies: tuple[float, ...]

    @property
    def missed(self) -> float:
        """Percent of the commands."""
        return 100 * (self.commands - self.hits) / self.commands if self.commands else 0.0

    @property
    def false_alarms_per_hour(self) -> float:
        """Of all kinds together."""
        return 3600 * sum(self.false_alarms.values()) / self.seconds

    @property
    def latency(self) -> float | None:
        """The median (ms); None without a hit."""
        return float(np.median(self.latencies)) if self.latencies else None

    def to_json(self) -> dict[str, Any]:
        """Counts, rates, and the latency (ms): its median and its 90th percentile; null without a hit."""
        return {
            "threshold": self.threshold,
            "commands": self.commands,
            "missed": self.commands - self.hits,
            "missed_percent": self.missed,
            "false_alarms": self.false_alarms,
            "false_alarms_per_hour": self.false_alarms_per_hour,
            "latency_ms": self.latency,
            "latency_ms_90": float(np.percentile(self.latencies, 90)) if self.latencies else None,
        }


def outcome(stream: Iterable[Moment], over: Scene, threshold: float, refractory: int) -> Outcome:
    """What comes of the moments of a scene at a threshold."""
    late = round(LATE * over.sample_rate)
    alarms, latencies = dict.fromkeys(PLACES, 0), []
    open_ = {one for one in over.utterances if one.command}
    for moment in (one for one, hit in heard(stream, threshold, refractory) if hit):
        here = _during(over.utterances, moment.sample, late)
        if here in open_ and here.word == moment.word:
            open_.remove(here)
            latencies.append(1000 * (moment.sample - here.end) / over.sample_rate)
        else:
            alarms[PLACES[2] if here is None else PLACES[0 if here.command else 1]] += 1
    commands = sum(one.command for one in over.utterances)
    return Outcome(threshold, over.seconds, commands, commands - len(open_), alarms, tuple(latencies))


def together(several: Sequence[Outcome]) -> Outcome:
    """Outcomes at one threshold as if of one long scene."""
    return Outcome(
        several[0].threshold,
        sum(one.seconds for one in several),
        sum(one.commands for one in several),
        sum(one.hits for one in several),
        {place: sum(one.false_alarms[place] for one in several) for place in PLACES},
        tuple(latency for one in several for latency in one.latencies),
    )


def curve(stream: Sequence[Moment], over: Scene, rule: Rule) -> tuple[Outcome, ...]:
    """The outcomes over the threshold, from 0 to 1."""
    return tuple(outcome(stream, over, threshold, rule.refractory) for threshold in THRESHOLDS)


def _during(utterances: Sequence[Utterance], sample: int, late: int) -> Utterance | None:
    """The one being said, or just said, at a sample."""
    ends = np.fromiter((one.end + late for one in utterances), np.int64, len(utterances))
    at = int(np.searchsorted(ends, sample))
    return utterances[at] if at < len(utterances) and utterances[at].start <= sample else None
