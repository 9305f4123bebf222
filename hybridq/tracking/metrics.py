"""The metrics of a run, as data: what a name means, its unit, and which way is better.

The name on the left is used everywhere in hybridq. MLflow refuses `%` in a name, so there it reads `pct`; and
MLflow's chart view makes a section of what stands before a slash, so the curves of a training are kept
together under `training/`, behind the results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric; `better` is None where neither direction is."""

    unit: str
    better: Literal["higher", "lower"] | None
    digits: int
    by_epoch: bool = False


METRICS: dict[str, Metric] = {
    "training accuracy %": Metric("%", "higher", 1, by_epoch=True),
    "training loss": Metric("", "lower", 3, by_epoch=True),
    "validation accuracy %": Metric("%", "higher", 1, by_epoch=True),
    "validation loss": Metric("", "lower", 3, by_epoch=True),
    "learning rate": Metric("", None, 6, by_epoch=True),
    "pruned %": Metric("%", None, 1, by_epoch=True),  # of the weights, where `training.prune` asks for it
    "test accuracy %": Metric("%", "higher", 1),
    "test accuracy low %": Metric("%", "higher", 1),
    "test accuracy high %": Metric("%", "higher", 1),
    "test mean word accuracy %": Metric("%", "higher", 1),
    # Of numbers, and of inputs that are reconstructed: the share of the variance that is explained; means over all.
    "test R2 %": Metric("%", "higher", 2),
    "test squared error": Metric("", "lower", 5),
    "test absolute error": Metric("", "lower", 4),
    "test anomaly AUC": Metric("", "higher", 4),  # of telling anomalies by the error of their reconstruction
    "integer test R2 %": Metric("%", "higher", 2),
    "Keras test R2 %": Metric("%", "higher", 2),
    "integer test accuracy %": Metric("%", "higher", 1),  # of the integer network, as a device computes it
    "Keras test accuracy %": Metric("%", "higher", 1),  # of the same network, as Keras computes it
    "integer agreement %": Metric("%", "higher", 2),  # of the test clips that both of them hear alike
    # Of a network with the classes silence or unknown words, or with a threshold: see `hybridq.speech.decision`.
    "decision threshold": Metric("", None, 3),
    "test false accepts %": Metric("%", "lower", 1),
    "test false accepts of trained words %": Metric("%", "lower", 1),
    "test false accepts of new words %": Metric("%", "lower", 1),
    "test false accepts of unnamed words %": Metric("%", "lower", 1),
    "test false accepts of silence %": Metric("%", "lower", 1),
    "test false rejects %": Metric("%", "lower", 1),
    "test wrong commands %": Metric("%", "lower", 1),
    "validation threshold": Metric("", None, 3),  # at which 5 % of the validation clips of no command are accepted
    "validation accuracy best %": Metric("%", "higher", 1),  # of the weights that are kept
    "validation cross-entropy": Metric("nats", "lower", 3),  # of the same, labels not smoothed
    "validation R2 best %": Metric("%", "higher", 2),  # the same two of numbers
    "validation squared error": Metric("", "lower", 5),
    "flash KiB": Metric("KiB", "lower", 1),
    "flash as published KiB": Metric("KiB", "lower", 1),
    "RAM KiB": Metric("KiB", "lower", 1),
    "MACC M": Metric("million", "lower", 1),
    "flash share %": Metric("%", "lower", 1),
    "RAM share %": Metric("%", "lower", 1),
    "fits": Metric("", "higher", 0),
    "training minutes": Metric("min", "lower", 1),
    # Of long audio, as `hybridq stream-eval` measures it: all levels of noise together.
    "stream false alarms per hour": Metric("1/h", "lower", 1),
    "stream missed %": Metric("%", "lower", 1),  # of the commands in test clips
    "stream latency ms": Metric("ms", "lower", 0),  # from the end of a command, the median
    "stream threshold": Metric("", None, 3),
    # Of an image for the board, as `hybridq verify` measures it; the estimate is the memory report's ("packed").
    "image flash KiB": Metric("KiB", "lower", 1),
    "image weights KiB": Metric("KiB", "lower", 1),
    "image weights beyond estimate KiB": Metric("KiB", "lower", 1),
    "image code KiB": Metric("KiB", "lower", 1),
    "image RAM KiB": Metric("KiB", "lower", 1),
    "image tensors KiB": Metric("KiB", "lower", 1),
    "image tensors beyond estimate KiB": Metric("KiB", "lower", 1),
    "image stack KiB": Metric("KiB", "lower", 2),
    "image instructions M": Metric("million", "lower", 2),  # of one inference, the front end not counted
    "image exact %": Metric("%", "higher", 2),  # of the examples: input, outputs and class are the integer network's
    "image agreement %": Metric("%", "higher", 2),  # of the sounds: the class by Python's front end
    "image accuracy %": Metric("%", "higher", 1),  # of the examples that it was given, `image clips` or `image samples`
    "image clips": Metric("", None, 0),
    "image samples": Metric("", None, 0),
}

# The one figure by which networks are compared, in percent, by the examples measured on: a run has one of them.
SCORES = {
    "test": ("test accuracy %", "test R2 %"),
    "validation": ("validation accuracy best %", "validation R2 best %"),
    "integer test": ("integer test accuracy %", "integer test R2 %"),
}
ERRORS = ("validation cross-entropy", "validation squared error")  # what training minimises, of the weights kept


def first_of(names: Sequence[str], metrics: Mapping[str, float]) -> float | None:
    """The first of these metrics that a run has; None where it has none of them."""
    return next((metrics[name] for name in names if name in metrics), None)


EPOCH_SECTION = "training/"
OLD_SECTION = "by epoch/"  # of runs that were logged before


def mlflow_name(name: str) -> str:
    """The name under which MLflow holds a metric; one outside the table is kept, with `pct` for `%`."""
    plain = name.replace("%", "pct")
    if name in METRICS and METRICS[name].by_epoch:
        return EPOCH_SECTION + plain.removeprefix("training ")
    return plain


_NAMES = {mlflow_name(name): name for name in METRICS}
_NAMES |= {OLD_SECTION + name.replace("%", "pct"): name for name, metric in METRICS.items() if metric.by_epoch}


def name_from_mlflow(name: str) -> str:
    """The reverse of `mlflow_name`."""
    return _NAMES.get(name, name)
