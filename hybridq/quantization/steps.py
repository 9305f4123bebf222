"""What the integer network computes as one step, and so where it stores a tensor: the grammar of steps.

A step begins at an operator that reads other tensors, and ends where a tensor is stored, on a grid of 8 bits. What
stands between is a word of the letters below; the words that a step can be are few. Training puts a grid where a word
cannot go on without one (`stored`); the conversion reads the words (`hybridq.integer.fusion`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hybridq.graph.kinds import FUNCTIONS, Form
from hybridq.graph.operators import Graph, Operator, layer_of
from hybridq.precision import PrecisionPlan

# A batch norm; a nonlinearity that is no more than bounds of an integer; any other, a table from grid to grid; a grid.
NORM, CLIP, FUNCTION, GRID = "NCFG"
SCALE = "S"  # a scale and an offset of the network's input: what makes the input applies them
# To the grid (bounds, or a table behind it), then a batch norm that nothing could take up.
WHOLE = frozenset(
    norm + middle + end for norm in ("", "N") for middle in ("G", "CG", "GFG", "GCG") for end in ("", "NG")
)
WORDS: dict[Form, frozenset[str]] = {
    Form.WEIGHTS: WHOLE,
    Form.BEHIND: WHOLE,
    Form.MEAN: frozenset({"G", "CG"}),
    Form.SUM: frozenset({"G", "CG"}),
    Form.PRODUCT: frozenset({"G", "CG"}),
    Form.JOINED: frozenset({"G", "CG"}),
    Form.SLOPES: frozenset({"G"}),
    Form.LARGEST: frozenset({""}),  # on the grid of what it reads
    Form.MOVED: frozenset({""}),
    Form.VIEW: frozenset({""}),  # where nobody can read it as another tensor looked at
    Form.MEMORY: frozenset({"G"}),
    Form.INPUT: frozenset({"G", "SG"}),
}
OLD_VALUES = (Form.VIEW, Form.NOTHING, Form.LARGEST, Form.MOVED, Form.ANSWER)  # on the grid of what they read
BY_VALUE = (CLIP, FUNCTION, GRID)  # letters that are the same for a value wherever it stands
FLAT, TURNED = "flat", "turned"  # how a tensor is looked at: as a row; as a matrix of (columns, rows); "": as it is
LOGITS = frozenset({"", "N"})  # words of sums that leave the network as int16: as they are, or normalised
ANSWERS = ("softmax", "sigmoid", "tanh")  # functions that a network may end in: answers are made of its outputs outside


def goes_on(form: Form, word: str, letter: str) -> bool:
    """Whether a step that began with a layer of that form, and is that word by now, may go on with the letter."""
    return any(whole.startswith(word + letter) for whole in WORDS.get(form, ()))


def letter_of(op: Operator) -> str:
    """The letter of an operator that may stand behind others in a step; "" for others."""
    if op.facts.form is not Form.BEHIND:
        return ""
    if op.kind == "BatchNormalization":
        return NORM
    if op.facts.family in ("rescaling", "normalization"):
        return SCALE
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


@dataclass(frozen=True)
class Ends:
    """How a network ends.

    leaving: the operators whose results leave it and are read by no other layer, also those that are looked at in
    another shape, or made answers of, on the way out. answers: of these operators those whose function is not
    computed in integers, with that function. functions: that of each output, "" for none.
    """

    leaving: frozenset[str]
    answers: Mapping[str, str]
    functions: tuple[str, ...]

    def passes(self, op: Operator) -> bool:
        """Whether it only makes answers of what leaves the network."""
        return op.name in self.answers and op.facts.form is not Form.WEIGHTS


def ends_of(graph: Graph) -> Ends:
    """How a network ends, walking from its outputs up to the layers that compute them."""
    readers, operators = graph.consumers(), {op.name: op for op in graph.operators}
    leaving, answers, functions = set(), dict[str, str](), []
    for name in graph.outputs:
        op, behind, function, width = operators[name], set[str](), "", operators[name].output_shape[-1:]
        while set(readers[op.name]) <= behind:
            leaving.add(op.name)
            named = op.attributes.get("activation", "softmax" if op.facts.form is Form.ANSWER else "linear")
            answer = named if op.facts.family == "activation" or op.facts.form is Form.WEIGHTS else ""
            same_rows = answer != "softmax" or op.output_shape[-1:] == width
            if not function and answer in ANSWERS and same_rows and "quantizer" not in op.attributes:
                function = answers[op.name] = str(answer)
                passes = op.facts.form is not Form.WEIGHTS
            else:
                passes = (op.facts.form in (Form.VIEW, Form.NOTHING) and op.kind != "Permute") or is_nothing(op)
            if not passes or not op.inputs:
                break
            behind, op = {op.name}, operators[op.inputs[0]]
        functions.append(function)
    return Ends(frozenset(leaving), answers, tuple(functions))


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
    same = [n for n in given if n > 1] == [n for n in made if n > 1] and len(given) > 1
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
        seen = self.view == "" or (self.view == FLAT and letter in BY_VALUE)
        return letter != "" and seen and not self.closed and goes_on(self.form, self.word, letter)


def grids_of(graph: Graph, plan: PrecisionPlan) -> dict[str, Operator]:
    """The operators behind which a plan puts a grid, by name.

    A layer that a model inside the model holds ("outer/inner") has none: it is not called by itself.
    """
    there = stored(graph)
    return {
        op.name: op
        for op in graph.operators
        if op.name in there and "/" not in op.name and plan.of(layer_of(op.name)).outputs.on_grid
    }


def grid_name(of: str, what: str = "outputs") -> str:
    """The name of the Keras layer that puts an operator's results on a grid; a call after the first has its own."""
    layer = layer_of(of)
    use = "" if layer == of else f"_use_{int(of.rpartition(':')[2]) + 1}"
    return f"{layer}{use}_{what}"


def stored(graph: Graph) -> frozenset[str]:
    """The operators whose results the integer network stores, on a grid that is yet to be put behind them.

    Where one call of a layer is among them, so are all.

    What the operator behind takes up is not stored: a batch norm that folds into weights, a ReLU that is a bound on the
    results. Nor are the sums that leave the network, which are int16.
    """
    names = _stored(graph, frozenset())
    layers = {layer_of(name) for name in names}
    calls = {op.name for op in graph.operators if layer_of(op.name) in layers}
    return names if calls == names else _stored(graph, names | calls)


def _stored(graph: Graph, always: frozenset[str]) -> frozenset[str]:
    readers, operators, ends = graph.consumers(), {op.name: op for op in graph.operators}, ends_of(graph)
    steps: dict[str, _Step] = {}
    names = set()
    for op in graph.operators:
        step = _after(op, steps, ends)
        behind = [operators[name] for name in readers[op.name]]
        if op.name in always or _needs_grid(op, step, behind, ends, op.name in graph.outputs):
            names.add(op.name)
            step = replace(step, word=step.word + GRID)
        steps[op.name] = replace(step, closed=step.closed or len(behind) > 1)
    return frozenset(names)


def _after(op: Operator, steps: dict[str, _Step], ends: Ends) -> _Step:
    """The step that an operator makes, its own or the one that it reads with a letter more."""
    form, source = op.facts.form, steps[op.inputs[0]] if op.inputs else None
    letter = letter_of(op)
    if source and (form in (Form.VIEW, Form.NOTHING) or is_nothing(op) or ends.passes(op)):
        return replace(source, view=None if source.view is None else view_of(op, source.view))
    if source and source.takes(letter):
        return replace(source, word=source.word + letter)
    if form is Form.WEIGHTS:
        letter = "" if op.name in ends.answers else held(op)
    view = FLAT if source and source.view == FLAT and form is Form.BEHIND and letter in BY_VALUE else ""
    return _Step(form, GRID + FUNCTION if letter == FUNCTION else letter, view)  # a table reads what is stored


def _needs_grid(op: Operator, step: _Step, behind: list[Operator], ends: Ends, is_output: bool) -> bool:
    if op.facts.form in OLD_VALUES or is_nothing(op) or ends.passes(op) or makes_grid(op):
        return False
    if len(behind) == 1 and makes_grid(behind[0]) and step.takes(GRID):
        return False
    if op.name in ends.leaving:
        return step.form is not Form.WEIGHTS or step.word not in LOGITS
    if len(behind) > 1 or is_output or op.attributes.get("activation", "linear") != "linear":
        return bool(behind)
    return bool(behind) and not step.takes(letter_of(behind[0]))
