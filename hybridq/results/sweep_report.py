"""The report of a sweep: one HTML page that needs nothing from elsewhere, for someone who was not there.

Everything in it is read from the store. What a run lacks is left out of the page, and named in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hybridq.data.task import CLIPS
from hybridq.profiler.render.markup import Markup, element
from hybridq.results import compare, pictures
from hybridq.results.columns import SEED
from hybridq.results.compare import has_result, reason, without_result
from hybridq.results.comparison import SYNTHETIC_NOTE, Comparison
from hybridq.results.diff import differing
from hybridq.results.members import Member, member_of
from hybridq.results.page import confusion, flash_by_layer, page, picture, plain_table, table, table_row
from hybridq.results.scatter import frontier
from hybridq.settings.units import format_size
from hybridq.tracking.run_view import UNIT, classes_of

if TYPE_CHECKING:
    from hybridq.tracking import RunView, Store

COLUMNS_EXPLAINED = {  # by a part of a column's heading
    "interval": "95 % interval: where the accuracy of one run lies, given so many test examples.",
    "mean": "Mean accuracy: every class counts the same.",
    "flash": "Flash: the weights when packed at their width.",
    "RAM": "RAM: the activations, and the input and output.",
    "MACC": "MACC: multiply-accumulates of one inference, in millions.",
    "fits": "Fits: flash and RAM against those of the board.",
}


def sweep_report(store: Store, parent_id: str, failed: Mapping[str, str], taken: Sequence[str] = ()) -> str:
    """The page about a sweep, given the id of its parent run; `failed` is the reason of each run that failed, by name.

    `taken` are the ids of runs that it took as they were, from earlier ones.
    Raises UserError if there is no such sweep, or the store does not answer.
    """
    parent = store.find(parent_id)
    children = store.runs(sweep=parent.id)
    others = [run for run in taken if run not in {child.id for child in children}]
    runs = [*children, *(store.runs(ids_or_names=others) if others else [])]
    members = {run.id: member_of(store, run) for run in runs if has_result(run)}
    lost = without_result(runs)
    reasons = [(run.name, run.id[:8], reason(run)) for run in lost]
    reasons += [(name, "", why) for name, why in failed.items() if name not in [run.name for run in lost]]
    comparison = compare.table([member.run for member in members.values()]) if members else Comparison(())
    groups = {row.network: [members[run.id] for run in row.runs] for row in comparison.rows}
    sections = [*_head(parent, comparison, members), *_failures(reasons, members)]
    if groups:
        sections += [
            *_results(comparison),
            *_curves(groups, comparison.synthetic),
            *_confusions(groups),
            *_layers(groups),
            *_times(list(members.values())),
            *_recipes(groups),
        ]
    return page(parent.name, [*sections, *_made_with(parent)])


# ----------------------------------------------------------------------------------------------- sections


def _head(parent: RunView, comparison: Comparison, members: Mapping[str, Member]) -> Iterator[Markup]:
    yield element("h1", parent.name)
    ends = [member.run.ended for member in members.values() if member.run.ended]
    until = f" to {max(ends):%Y-%m-%d %H:%M}" if ends else ""
    yield element("p", f"{parent.started:%Y-%m-%d %H:%M}{until} UTC, hybridq sweep {parent.id}", class_="about")
    if comparison.synthetic:
        yield element("p", SYNTHETIC_NOTE, class_="loud")
    facts = [("Finished runs", _count_of(comparison, members))]
    for member in {member.run.tags.get("data.digest"): member for member in members.values()}.values():
        facts += _data_facts(member)
    boards = [member.profile["target"] for member in members.values() if member.profile]
    for board in {board["label"]: board for board in boards}.values():
        memory = f"{format_size(board['flash_bytes'])} of flash, {format_size(board['ram_bytes'])} of RAM"
        about = filter(None, (board.get("core"), board.get("clock_mhz") and f"{board['clock_mhz']} MHz", memory))
        facts.append(("Board", f"{board['label']}: {', '.join(about)}"))
    yield plain_table((), facts)


def _count_of(comparison: Comparison, members: Mapping[str, Member]) -> str:
    networks = ", ".join(row.network for row in comparison.rows)
    seeds = sorted({seed for row in comparison.rows for seed in row["seeds"]}, key=lambda seed: (len(seed), seed))
    return f"{len(members)}: {networks}; seeds {', '.join(seeds)}" if members else "none"


def _data_facts(member: Member) -> list[tuple[str, str]]:
    tags = member.run.tags
    unit = tags.get(UNIT, CLIPS)
    words = classes_of(member.run)
    clips = ", ".join(f"{count:,} {split}" for split, count in member.clips.items())
    synthetic = "synthetic, " if tags.get("data.synthetic") == "true" else ""
    digest = tags.get("data.digest", "")[:16]
    return [
        ("Data set", f"{tags.get('data.name', 'not recorded')} ({synthetic}digest {digest or 'not recorded'})"),
        *([("Words" if unit == CLIPS else "Classes", f"{len(words)}: {', '.join(words)}")] if words else []),
        (unit.capitalize(), clips or "not recorded"),
        *([("Training", "synthetic voices among the clips")] if tags.get("training.synthetic") == "true" else []),
    ]


def _failures(reasons: Sequence[tuple[str, str, str]], members: Mapping[str, Member]) -> Iterator[Markup]:
    if reasons:
        yield element("h2", f"Without a result: {len(reasons)} run{'s' if len(reasons) > 1 else ''}")
        yield plain_table(("run", "id", "reason"), reasons)
    for member in members.values():
        if member.missing:
            warning = f"{_label(member.run)} has not logged {', '.join(member.missing)}: the page is without it."
            yield element("p", warning, class_="warning")


def _results(comparison: Comparison) -> Iterator[Markup]:
    yield element("h2", "Results")
    published = any(row["published"] for row in comparison.rows)
    beneath = "; beneath each row, in italics, the published figures" * published
    about = f"Test {comparison.score}, and what the network takes on the board{beneath}."
    yield element("p", about, class_="about")
    headings = [column.heading.replace("\n", " ") for column in comparison.columns]
    rows = [table_row(cells, "plain" if row else "published") for row, cells in comparison.lines()]
    yield table(headings, rows)
    explained = [said for part, said in COLUMNS_EXPLAINED.items() if any(part in one for one in headings)]
    yield element("p", " ".join(explained), class_="about")
    against = [f"Against {comparison.largest.network}, {line}." for line in comparison.differences()]
    yield element("ul", *(element("li", line) for line in [*against, *comparison.notes()]))
    if any(row["flash_kib"] for row in comparison.rows):
        alt = f"Test {comparison.score} in percent over flash in KiB, by network"
        yield picture(frontier(comparison), alt)


def _curves(groups: Mapping[str, Sequence[Member]], synthetic: bool) -> Iterator[Markup]:
    kinds = (
        (True, "Accuracy", "validation accuracy, %", "Validation accuracy in percent by epoch"),
        (False, "Loss", "validation loss", "Validation loss by epoch"),
    )
    for accuracy, what, label, alt in kinds:
        curves = {
            name: [one.curve for one in members if one.curve and one.has_classes is accuracy]
            for name, members in groups.items()
        }
        curves = {name: seeds for name, seeds in curves.items() if seeds}
        if curves:
            yield element("h2", "Learning curves")
            unit = next(iter(groups.values()))[0].run.tags.get(UNIT, CLIPS)
            about = f"{what} on the validation {unit} after each epoch; a line a run."
            yield element("p", " ".join([about, *_starts(groups)]), class_="about")
            fig = pictures.curves_together(curves, title=f"Validation {what.lower()}", synthetic=synthetic, label=label)
            yield picture(fig, alt)


def _starts(groups: Mapping[str, Sequence[Member]]) -> Iterator[str]:
    """Why some curves begin high: the networks that did not start from nothing."""
    for name, members in groups.items():
        recipe = members[0].recipe or {}
        for key, verb in (("start_from", "starts from the trained weights of"), ("teacher", "is taught by")):
            others = recipe.get(key)
            others = others if isinstance(others, list) else [others]
            names = [str(one.get("name", "another network")) for one in others if isinstance(one, Mapping)]
            if names:
                yield f"{name} {verb} {', '.join(dict.fromkeys(names))}."


def _confusions(groups: Mapping[str, Sequence[Member]]) -> Iterator[Markup]:
    import numpy as np

    tables = []
    for name, members in groups.items():
        evaluations = [one.evaluation for one in members if one.evaluation and "confusion" in one.evaluation]
        if evaluations and len(evaluations[0]["labels"]) <= pictures.MOST_CLASSES:
            unit = members[0].run.tags.get(UNIT, CLIPS)
            counts = np.sum([one["confusion"] for one in evaluations], axis=0)
            seeds = f", {len(evaluations)} seeds" if len(evaluations) > 1 else ""
            right = f"{100 * np.trace(counts) / max(counts.sum(), 1):.1f} % of {counts.sum():,} {unit} right"
            caption = element("figcaption", f"{name}{seeds}: {right}")
            tables.append(element("figure", caption, confusion(counts.tolist(), evaluations[0]["labels"], unit)))
    if tables:
        unit = next(iter(groups.values()))[0].run.tags.get(UNIT, CLIPS)
        what = "words" if unit == CLIPS else "classes"
        ends = "the word said, a column the word heard" if unit == CLIPS else "the true class, a column the answer"
        yield element("h2", f"Which {what} are confused")
        yield element(
            "p",
            f"A row is {ends}, in percent of the test {unit} of the row (all seeds)."
            " Blue is right; the stronger the orange, the more often the mistake.",
            class_="about",
        )
        yield element("div", *tables, class_="side")


def _layers(groups: Mapping[str, Sequence[Member]]) -> Iterator[Markup]:
    profiles = {name: next((one.profile for one in members if one.profile), None) for name, members in groups.items()}
    networks = {
        name: {layer["name"]: layer for layer in profile["layers"]} for name, profile in profiles.items() if profile
    }
    if networks:
        about = "KiB of weights with their precision, the largest layer first; all bars on one scale."
        yield element("h2", "Flash by layer")
        yield element("p", about, class_="about")
        yield flash_by_layer(networks)


def _times(members: Sequence[Member]) -> Iterator[Markup]:
    yield element("h2", "What each run cost")
    yield element(
        "p",
        "Minutes of training alone, and from the start to the end of the run, which has reading the data and"
        " measuring the result in it.",
        class_="about",
    )
    rows = []
    for member in members:
        run, training = member.run, member.run.metrics.get("training minutes")
        figures = [str(len(member.curve)) if member.curve else "-", _minutes(training), _minutes(member.minutes)]
        cells = [run.name, run.params.get(SEED, "-"), *figures, f"{run.started:%Y-%m-%d %H:%M}", run.id]
        rows.append(table_row(cells))
    training = sum(member.run.metrics.get("training minutes", 0.0) for member in members)
    whole = sum(member.minutes or 0.0 for member in members)
    rows.append(table_row(["all", "", "", _minutes(training), _minutes(whole), "", ""], "total"))
    headings = ("run", "seed", "epochs", "training, min", "whole run, min", "started (UTC)", "run id")
    yield table(headings, rows)


def _recipes(groups: Mapping[str, Sequence[Member]]) -> Iterator[Markup]:
    recipes = {name: members[0].recipe for name, members in groups.items() if members[0].recipe}
    lines = [line for line in differing([one or {} for one in recipes.values()]) if not line[0].endswith(SEED)]
    if lines:
        yield element("h2", "How the recipes differ")
        yield element("p", "Every key that is not the same in all of them.", class_="about")
        yield plain_table(("key", *recipes), [(key, *texts) for key, texts in lines])


def _made_with(parent: RunView) -> Iterator[Markup]:
    tags = parent.tags
    yield element("h2", "Made with")
    changed = ", with changes that were not committed" if tags.get("commit.changed") == "true" else ""
    facts = [
        ("Command", tags.get("command", "not recorded")),
        ("Commit", tags.get("mlflow.source.git.commit", "not recorded") + changed),
        *((key.removeprefix("version."), text) for key, text in tags.items() if key.startswith("version.")),
    ]
    yield plain_table((), facts)


def _label(run: RunView) -> str:
    return f"{run.name} ({run.id[:8]})"


def _minutes(minutes: float | None) -> str:
    return "-" if minutes is None else f"{minutes:.1f}"
