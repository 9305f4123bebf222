"""The precision plans that a search chooses from: a network's own, with the weights of any layers narrower."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.reader import Graph
from hybridq.precision import PrecisionPlan
from hybridq.profiler import Profile, profile
from hybridq.profiler.targets import Target, target
from hybridq.recipe.file import varied
from hybridq.recipe.schema import Recipe
from hybridq.runs.experiment import graph_of
from hybridq.settings.tree import Override, node_of

Changes = Mapping[str, Format]  # layer: the narrower precision of its weights


@dataclass(frozen=True)
class Space:
    """A network whose layers may be made narrower, one by one, from the plan that it has."""

    name: str
    graph: Graph
    base: PrecisionPlan
    target: str
    accounting: str

    def check(self) -> None:
        """Raise UserError where nothing can be narrowed."""
        if not any(map(self.narrower, self.layers)):
            raise UserError(f"{self.name}: no layer can be narrower than it is; begin with 8-bit weights")

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers with weights, in their order."""
        return tuple(op.name for op in self.graph.weighted)

    def own(self, layer: str) -> Format:
        """What its plan gives the weights of a layer."""
        return self.base.of(layer).weights

    def narrower(self, layer: str) -> tuple[Format, ...]:
        """What a search may give them instead, the widest first."""
        return tuple(one for one in Format if one.row.kernel and one.bits < self.own(layer).bits)

    @cached_property
    def smallest(self) -> dict[str, Format]:
        """Every layer at the precision that takes the least flash."""
        by_layer = {layer: {to: self.flash({layer: to}) for to in self.narrower(layer)} for layer in self.layers}
        least = {layer: min(sizes, key=lambda to: sizes[to]) for layer, sizes in by_layer.items() if sizes}
        return {layer: to for layer, to in least.items() if by_layer[layer][to] < self.flash({})}

    def plan(self, changes: Changes) -> PrecisionPlan:
        """Its plan with these changes."""
        return self.base.narrowed(changes)

    def code(self, changes: Changes) -> str:
        """A plan as one character a layer, the first of its precision's name: "88t4b8"."""
        return "".join(str(changes.get(layer, self.own(layer)))[0] for layer in self.layers)

    def profile(self, changes: Changes, budget: Target) -> Profile:
        """The memory report, against the limits of a target."""
        return profile(self.graph, budget, self.plan(changes), self.accounting)

    def flash(self, changes: Changes) -> int:
        """Bytes of flash, as `hybridq profile` counts them."""
        return self.profile(changes, target(self.target)).totals.flash_bytes


def legend(layers: Iterable[str]) -> str:
    """What `Space.code` means for these layers."""
    return f"a character for each of {', '.join(layers)}: 8, 4 and 2 bits, t ternary, b binary, f float32"


@dataclass(frozen=True)
class RecipeSpace(Space):
    """That of a recipe's network."""

    recipe: Recipe

    @classmethod
    def of(cls, recipe: Recipe) -> RecipeSpace:
        """Raises UserError for a recipe that starts from nothing, or in which nothing can be narrowed."""
        if recipe.parent is None:
            raise UserError(f"{recipe.path}: a search narrows a trained network: name its recipe as start_from")
        recipe.check_references()
        space = cls(recipe.name, graph_of(recipe), recipe.plan, recipe.target, recipe.accounting, recipe)
        recipe.plan.check(space.layers, (op.name for op in space.graph.operators))
        space.check()
        return space

    def varied(self, changes: Changes, name: str, training: Mapping[str, object] | None = None) -> Recipe:
        """The recipe of that name with these changes, and these settings of its training."""
        values = {"name": name, "precision": self.plan(changes).to_data(), "training": training or {}}
        return varied(self.recipe, [Override((key,), node_of(value, "the search")) for key, value in values.items()])
