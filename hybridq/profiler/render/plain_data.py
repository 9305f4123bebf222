"""Each kind of result as numbers, texts, lists and dictionaries, as JSON has them; docs/profiler.md lists the keys."""

from __future__ import annotations

from dataclasses import asdict
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from hybridq.profiler.diff import FIGURES, Diff, Pair
from hybridq.profiler.estimates import Estimate, estimates
from hybridq.profiler.render.words import estimate_line
from hybridq.profiler.report import Profile, Row
from hybridq.profiler.result import Result
from hybridq.profiler.suggest import Suggestion
from hybridq.profiler.tflm.setup import Setup

if TYPE_CHECKING:
    from hybridq.profiler.tflm.cost import Tflm

SCHEMA = 1


@singledispatch
def to_json(result: Result) -> dict[str, Any]:
    """Plain data; a figure that is not known is None, never zero. Raises TypeError for a kind without a handler."""
    raise TypeError(f"no plain data for {type(result).__name__}")


@to_json.register
def _(report: Profile) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": report.name,
        "target": asdict(report.target),
        "accounting": report.accounting,
        "no_image": report.no_image or None,
        "stored_wider": [dict(zip(("layer", "format", "stored"), one, strict=True)) for one in report.stored_wider],
        "file": asdict(report.file) if report.file else None,
        "planner": report.planner,
        "io_in_activations": report.buffers_inside,
        "peak": report.peak,
        "totals": asdict(report.totals),
        "exceeded": [limit._asdict() for limit in report.exceeded],
        "layers": [_layer(row) for row in report.rows],
        "dominant": {"layers": list(report.dominant[0]), "flash_share": report.dominant[1]},
        "assumed": list(report.assumed),
        "not_costed": list(report.not_costed),
        "plans": dict(report.plans),
        "widths": [asdict(width) for width in report.widths],
        "lifetimes": [one._asdict() for one in report.lifetimes],
        "estimates": {name: _estimate(one) if one else None for name, one in estimates(report).items()},
        "tflm": _tflm(report.tflm) if report.tflm else None,
    }


@to_json.register
def _(diff: Diff) -> dict[str, Any]:
    both = (diff.before, diff.after)
    return {
        "names": [one.name for one in both],
        "targets": [one.target.label for one in both],
        "fits": [one.totals.fits for one in both],
        "accountings": [one.accounting for one in both],
        "not_costed": list(diff.not_costed),
        "totals": {name: _pair(pair) for name, pair in diff.totals.items()},
        "layers": [
            {"name": row.name, "status": row.status, "weights": list(row.weights)}
            | {figure: _pair(getattr(row, figure)) for figure in FIGURES}
            for row in diff.rows
        ],
    }


@to_json.register
def _(suggestion: Suggestion) -> dict[str, Any]:
    return {
        "name": suggestion.name,
        "to": suggestion.to.value,
        "limit_bytes": suggestion.limit_bytes,
        "start_bytes": suggestion.start_bytes,
        "flash_bytes": suggestion.flash_bytes,
        "fits": suggestion.fits,
        "changes": [asdict(change) | {"before": change.before.value} for change in suggestion.changes],
        "not_costed": list(suggestion.not_costed),
        "plan": suggestion.plan.to_data(),
    }


@to_json.register
def _(setup: Setup) -> dict[str, Any]:
    lines = [dict(zip(("for", "line"), line, strict=True)) for line in setup.lines]
    return {"name": setup.name, "target": setup.target.label, "lines": lines, "tflm": _tflm(setup.tflm)}


def _tflm(tflm: Tflm) -> dict[str, Any]:
    arena = {name: value for name, value in asdict(tflm.arena).items() if name not in ("lifetimes", "no_kernel")}
    figures = {name: getattr(tflm, name) for name in ("arena_size", "file_bytes", "code_bytes", "kernels", "variables")}
    lists = {name: list(getattr(tflm, name)) for name in ("operators", "refused", "uncounted")}
    return {"arena": arena | {"used": tflm.arena.used}} | figures | lists | {"also": dict(tflm.also)}


def _layer(row: Row) -> dict[str, Any]:
    precision = row.precision
    return asdict(row) | {
        "merged": list(row.merged),
        "marks": list(row.marks),
        "input_shapes": [list(shape) for shape in row.input_shapes],
        "output_shape": list(row.output_shape),
        "kernel": list(row.kernel),
        "precision": {part: str(getattr(precision, part)) for part in ("weights", "bias", "outputs")}
        if precision
        else None,
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    lists = {name: list(getattr(estimate, name)) for name in ("sources", "left_out", "not_costed")}
    return asdict(estimate) | lists | {"text": estimate_line(estimate)}


def _pair(pair: Pair) -> dict[str, int | float | None]:
    return {"before": pair.before, "after": pair.after, "change": pair.change, "percent": pair.percent}
