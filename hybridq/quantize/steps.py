"""What the integer network computes as one step, and so where it stores a tensor: the grammar of steps.

A step begins at an operator that reads other tensors, and ends where a tensor is stored, on a grid of 8 bits. What
stands between is a word of the letters below; the words that a step can be are few. Training puts a grid where a word
cannot go on without one (`stored`); the conversion reads the words (`hybridq.integer.fusion`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hybridq.graph.kinds import FUNCTIONS, Form
from hybridq.graph.operators import Graph, Operator
from hybridq.precision import PrecisionPlan

# A batch norm; a nonlinearity that is no more than bounds of an integer; any other, a table from grid to grid; a grid.
NORM, CLIP, FUNCTION, GRID = "NCFG"
# To the grid (bounds, or a table behind it), then a batch norm that nothing could take up.
WHOLE = frozenset(
    norm + middle + end for norm in ("", "N") for middle in ("G", "CG", "GFG", "GCG") for end in ("", "NG")
)
WORDS: dict[Form, frozenset[str]] = {
    Form.WEIGHTS: WHOLE,
    Form.BEHIND: WHOLE,
    Form.MEAN: frozenset({"G", "CG"}),
    Form.SUM: frozenset({"G", "CG"}),
    Form.LARGEST: frozenset({""}),  # on the grid of what it reads
    Form.MEMORY: frozenset({"G"}),
    Form.INPUT: frozenset({"G"}),
}
FLAT, TURNED = "flat", "turned"  # how a tensor is looked at: as a row; as a matrix of (columns, rows); "": as it is
LOGITS = frozenset({"", "N"})  # what the last layer may be: its sums, or these normalised


def goes_on(form: Form, word: str, letter: str) -> bool:
    """Whether a step that began with a layer of that form, and is that word by now, may go on with the letter."""
    return any(whole.startswith(word + letter) for whole in WORDS.get(form, ()))


def letter_of(op: Operator) -> str:
    """The letter of an operator that may stand behind others in a step; "" for others."""
    if op.facts.form is not Form.BEHIND:
        return ""
    if op.kind == "BatchNormalization":
        return NORM
    return GRID if makes_grid(op) else held(op)


def held(op: Operator) -> str:
    """The letter of the nonlinearity that an operator holds or is; "" for none."""
    name = op.attributes.get("activation", "linear")
    if name == "linear":
        return ""
    clips = name in FUNCTIONS and FUNCTIONS[name].bounds is not None and not op.attributes.get("threshold")
    return CLIP if clips else FUNCTION


def makes_grid(op: Operator) -> bool:
    """Whether an operator puts what it reads on a grid of 8 bits."""
    return "fraction" in op.attributes


def holds_table(op: Operator) -> bool:
    """Whether a layer with weights ends in a nonlinearity that reads what the integer network stores."""
    return op.facts.form is Form.WEIGHTS and held(op) == FUNCTION


def is_answer(op: Operator, graph: Graph) -> bool:
    """Whether it is a softmax that makes shares of the logits: it leaves the largest the largest."""
    softmax = op.facts.family == "activation" and op.attributes.get("activation", "softmax") == "softmax"
    return softmax and op.name in graph.outputs


def is_nothing(op: Operator) -> bool:
    """Whether it is a nonlinearity that is none, and no quantizer either."""
    return op.kind == "Activation" and not held(op) and "quantizer" not in op.attributes


def view_of(op: Operator, before: str) -> str | None:
    """How a tensor looked at that way is looked at behind an operator; None where no layer can read it so."""
    if op.facts.form is not Form.VIEW:
        return before
    (given,), made = op.input_shapes, op.output_shape
    if op.kind == "Permute" and not before and len(given) == 2 and made == given[::-1]:
        return TURNED
    if op.kind != "Permute" and before != TURNED and len(made) == 1:
        return FLAT
    same = [n for n in given if n > 1] == [n for n in made if n > 1]
    return "" if op.kind == "Reshape" and not before and same else None


# ------------------------------------------------------------------------------------------ where grids go


@dataclass(frozen=True)
class _Step:
    """What a tensor of a float network is so far: a word without the parts to come."""

    form: Form  # of the operator that it began with
    word: str
    view: str | None = ""
    closed: bool = False  # it is read more than once

    def takes(self, letter: str) -> bool:
        return letter != "" and self.view == "" and not self.closed and goes_on(self.form, self.word, letter)


def grids_of(graph: Graph, plan: PrecisionPlan) -> dict[str, Operator]:
    """The operators behind which a plan puts a grid, by name.

    A layer that a model inside the model holds ("outer/inner") has none: it is not called by itself.
    """
    there = stored(graph)
    return {
        op.name: op
        for op in graph.operators
        if op.name in there and "/" not in op.name and plan.of(op.name).outputs.on_grid
    }


def stored(graph: Graph) -> frozenset[str]:
    """The operators of a float network whose results the integer network stores, on a grid of their own.

    What the operator behind takes up is not stored: a batch norm that folds into weights, a ReLU that is a bound on the
    results. Nor are the logits that leave the network, which are not int8.
    """
    readers, operators = graph.consumers(), {op.name: op for op in graph.operators}
    steps: dict[str, _Step] = {}
    names = set()
    for op in graph.operators:
        step = _after(op, steps)
        behind = [operators[name] for name in readers[op.name]]
        if _needs_grid(op, step, behind, graph):
            names.add(op.name)
            step = replace(step, word=step.word + GRID)
        steps[op.name] = replace(step, closed=step.closed or len(behind) > 1)
    return frozenset(names)


def _after(op: Operator, steps: dict[str, _Step]) -> _Step:
    """The step that an operator makes, its own or the one that it reads with a letter more."""
    form, source = op.facts.form, steps[op.inputs[0]] if op.inputs else None
    letter = letter_of(op)
    if source and (form in (Form.VIEW, Form.NOTHING) or is_nothing(op)):
        return replace(source, view=None if source.view is None else view_of(op, source.view))
    if source and source.takes(letter):
        return replace(source, word=source.word + letter)
    if form is Form.WEIGHTS:
        letter = held(op)
    return _Step(form, GRID + FUNCTION if letter == FUNCTION else letter)  # a table reads what is stored


def _needs_grid(op: Operator, step: _Step, behind: list[Operator], graph: Graph) -> bool:
    old_values = op.facts.form in (Form.VIEW, Form.NOTHING, Form.LARGEST, Form.ANSWER) or is_nothing(op)
    if old_values or op.name in graph.outputs or not behind:
        return False
    if len(behind) > 1 or op.attributes.get("activation", "linear") != "linear":
        return True
    return not is_answer(behind[0], graph) and not step.takes(letter_of(behind[0]))
