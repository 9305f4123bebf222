"""From recipes to jobs: every run once, and what it starts from or is taught by before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hybridq.errors import UserError
from hybridq.recipe.file import linked, load_variants
from hybridq.recipe.schema import Recipe
from hybridq.runs.experiment import run_name


@dataclass(frozen=True)
class Job:
    """One run to be made. `after` are the numbers of the jobs whose networks it needs."""

    number: int
    recipe: Recipe
    after: tuple[int, ...]
    asked: bool  # False: nobody asked for it but the recipe that needs it

    @property
    def name(self) -> str:
        """That of its run."""
        return run_name(self.recipe)


@dataclass(frozen=True)
class Plan:
    """The jobs of a sweep in an order in which they may run, and what will not be run, with the reason."""

    jobs: tuple[Job, ...]
    equal: dict[str, str] = field(default_factory=dict)  # name of a run that differs in nothing but the name: of which
    refused: dict[str, str] = field(default_factory=dict)  # file: what is wrong with it

    @property
    def key(self) -> str:
        """SHA-256 (hex) of what decides the runs: a sweep of the same key is the same sweep."""
        asked = [_identity(job.recipe) for job in self.jobs if job.asked]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def read_recipes(
    paths: Sequence[Path], overrides: Sequence[str] = (), seeds: Sequence[int] = ()
) -> tuple[list[Recipe], dict[str, str]]:
    """The recipes of these files, with each run of their `sweep` sections, once for each seed.

    The second value has the files that could not be read, and why.
    """
    recipes: list[Recipe] = []
    refused: dict[str, str] = {}
    for settings in [[*overrides, f"training.seed={seed}"] for seed in seeds] or [list(overrides)]:
        for path in paths:
            try:
                recipes += load_variants(path, settings)
            except UserError as error:
                refused[str(path)] = str(error)
    return linked(recipes), refused


def plan(
    recipes: Sequence[Recipe],
    refused: dict[str, str] | None = None,
    check: Callable[[Recipe], None] = Recipe.check_references,
) -> Plan:
    """The jobs for these recipes; a recipe that one of them needs, and that is not among them, is added.

    A recipe of which `check` raises UserError is refused: as it is, one that does not go together with what it needs.
    """
    jobs: dict[str, Job] = {}
    equal: dict[str, str] = {}
    refusals = dict(refused or {})
    wanted = {_identity(recipe) for recipe in recipes}

    def add(recipe: Recipe) -> int:
        identity = _identity(recipe)
        if identity not in jobs:
            after = tuple(dict.fromkeys(add(other) for others in recipe.references.values() for other in others))
            jobs[identity] = Job(len(jobs), recipe, after, identity in wanted)
        return jobs[identity].number

    for recipe in recipes:
        try:
            check(recipe)
        except UserError as error:
            refusals[run_name(recipe)] = str(error)
            continue
        first = jobs.get(_identity(recipe))
        add(recipe)
        if first and first.name != run_name(recipe):
            equal[run_name(recipe)] = first.name
    return Plan(tuple(jobs.values()), equal, refusals)


def _identity(recipe: Recipe) -> str:
    """Equal for two recipes that give the same run, whatever they are called."""
    return f"{recipe.digest()} {recipe.data.place}"
