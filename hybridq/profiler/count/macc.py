"""Multiply-accumulates of each operator, as X-CUBE-AI counts them.

The rules were read off its published reports. Together they give, in version 7.1, the published total of the float
reference network, 20,496,832, and every share in its table, to the last digit. To add a kind of layer: its row in
`graph.kinds`, and one line in RULES where no other of its family is there.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from hybridq.formats import Format
from hybridq.graph.kinds import FUNCTIONS, LayerKind
from hybridq.graph.operators import Operator
from hybridq.profiler.accounting import NEWEST, Accounting
from hybridq.profiler.count.merge import Step

INT8_SIGMOID = 1  # MACC a value: a table; in one report


def _outputs(op: Operator) -> int:
    return prod(op.output_shape)


def _inputs(op: Operator) -> int:
    return prod(op.input_shapes[0])


def _each(function: str) -> int:
    """MACC a value of a nonlinearity that no version counts otherwise."""
    return FUNCTIONS[function].macc or 0


def _convolution(op: Operator) -> int:
    """Each output channel counts one more, for its bias, whether it has one or not."""
    taps: int = prod(op.attributes["kernel"]) * (op.input_shapes[0][-1] // op.attributes["groups"])
    return _outputs(op) * taps + op.output_shape[-1]


def _separable(op: Operator) -> int:
    """Its two halves, depthwise then pointwise. No report has it as such."""
    between = op.input_shapes[0][-1] * op.attributes["depth_multiplier"]
    places = prod(op.output_shape[:-1])
    depthwise = places * between * prod(op.attributes["kernel"]) + between
    return int(depthwise + _outputs(op) * between + op.output_shape[-1])


def _dense(op: Operator, rules: Accounting) -> int:
    """Inputs x outputs, and from 6.0 + outputs, with a bias or without."""
    return _outputs(op) * (op.input_shapes[0][-1] + rules.dense_bias)


def _pool(op: Operator) -> int:
    return _outputs(op) * int(prod(op.attributes["kernel"]))


def _elementwise(op: Operator) -> int:
    """One less than the inputs, for each element; one with a constant in place of an input."""
    return _outputs(op) * max(len(op.inputs) - 1, 1)


def _permute(op: Operator) -> int:
    """Half a MACC an element, as reports count a transposition."""
    return -(-_outputs(op) // 2)


def _transposed(op: Operator) -> int:
    """Every input reaches each place under the kernel; and one for each bias."""
    return _inputs(op) * int(prod(op.attributes["kernel"])) * op.output_shape[-1] + op.output_shape[-1]


def _resize(op: Operator) -> int:
    return 4 * _outputs(op) if op.attributes["interpolation"] == "bilinear" else 0


def _apart(op: Operator) -> int:
    """Around a dilated convolution, which is computed in float: 8-bit values are converted on the way."""
    return 2 * _outputs(op) if _is_int8(op) else 0


def _recurrent(op: Operator) -> int:
    """At each step the matrices of the gates, and some more a unit: 5 for an LSTM, 2 for a GRU."""
    units, gates = op.attributes["units"], op.attributes["gates"]
    more = {"LSTM": 5, "GRU": 2, "SimpleRNN": 1}[op.kind]  # no report has a SimpleRNN
    return int(op.attributes["steps"] * units * (gates * (op.input_shapes[0][-1] + units) + more))


def _projected_lstm(op: Operator) -> int:
    """Each weight once a step, and 5 more a unit, as for an LSTM."""
    return int(op.attributes["steps"] * (op.kernel + 5 * op.attributes["units"]))


def _linear_memory(op: Operator) -> int:
    """The two fixed matrices, for each memory at each step."""
    return int(op.attributes["steps"] * op.attributes["signals"] * op.other)


def _attend(op: Operator, heads: int = 1) -> int:
    """Scores, softmax and weighted sum, for each head and query."""
    key, value = op.attributes["key_dim"], op.attributes["value_dim"]
    each = key + _each("softmax") + value + op.other
    return int(heads * op.attributes["queries"] * op.attributes["keys"] * each)


def _multi_head_attention(op: Operator) -> int:
    """Four dense layers, of the query, the key, the value and the result, and between them the attention."""
    heads, queries, keys = (op.attributes[name] for name in ("heads", "queries", "keys"))
    query, value, key = (*op.input_shapes, op.input_shapes[1])[:3]
    width, value_width = heads * op.attributes["key_dim"], heads * op.attributes["value_dim"]
    results = _outputs(op) // queries
    dense = queries * (query[-1] + 1) * width + keys * ((key[-1] + 1) * width + (value[-1] + 1) * value_width)
    return int(dense + _attend(op, heads) + queries * (value_width + 1) * results)


def _grouped_query_attention(op: Operator) -> int:
    """As the attention of several heads, with fewer keys and values to compute."""
    heads, queries, keys = (op.attributes[name] for name in ("heads", "queries", "keys"))
    query, value, key = (*op.input_shapes, op.input_shapes[1])[:3]
    width, shared = heads * op.attributes["key_dim"], op.attributes["shared_heads"] * op.attributes["key_dim"]
    dense = queries * (query[-1] + 1) * width + keys * (key[-1] + value[-1] + 2) * shared
    return int(dense + _attend(op, heads) + queries * (width + 1) * query[-1])


def _additive_attention(op: Operator) -> int:
    """As attention, each feature of a score with a sum, a tanh and a product."""
    key, value = op.attributes["key_dim"], op.attributes["value_dim"]
    each = (2 + _each("tanh")) * key + _each("softmax") + value
    return int(op.attributes["queries"] * op.attributes["keys"] * each)


def _convolutional_lstm(op: Operator) -> int:
    """At each step a convolution of input and state for each gate, and as in an LSTM 1 for each nonlinearity."""
    units, gates = op.attributes["units"], op.attributes["gates"]
    return int(op.attributes["steps"] * (gates * units * op.attributes["taps"] + (gates + 1) * units))


def _svdf(op: Operator) -> int:
    """Each weight once, of the features and of the steps, and one for each result."""
    return op.kernel + _outputs(op)


def _matmul(op: Operator) -> int:
    return _outputs(op) * int(op.attributes["length"])


def _dot(op: Operator) -> int:
    unit = 2 * sum(map(prod, op.input_shapes)) if op.attributes["normalize"] else 0
    return _outputs(op) * int(op.attributes["length"]) + unit


def _inside(op: Operator) -> tuple[Operator, ...]:
    """What a wrapper (Bidirectional, TimeDistributed) holds."""
    graph = op.attributes.get("inside")
    return tuple(inner for inner in graph.operators if inner.kind != "InputLayer") if graph else ()


def _time_distributed(op: Operator, rules: Accounting) -> int:
    return int(op.attributes["steps"] * sum(macc(inner, rules) or 0 for inner in _inside(op)))


def _bidirectional(op: Operator, rules: Accounting) -> int:
    merging = {"sum": 1, "mul": 1, "ave": 2}.get(op.attributes["merge_mode"], 0)
    return merging * _outputs(op) + sum(macc(inner, rules) or 0 for inner in _inside(op))


# By family: what is more than a number for each value of the result, which the rows of `graph.kinds` have.
RULES: dict[str, Callable[[Operator], int]] = {
    "convolution": _convolution,
    "depthwise": _convolution,
    "separable": _separable,
    "transposed": _transposed,
    "einsum": lambda op: int(op.attributes["products"]) + _outputs(op),  # as a dense layer
    "recurrent": _recurrent,
    "projected_lstm": _projected_lstm,
    "linear_memory": _linear_memory,
    "convolutional_lstm": _convolutional_lstm,
    "attention": _attend,
    "additive_attention": _additive_attention,
    "multi_head_attention": _multi_head_attention,
    "grouped_query_attention": _grouped_query_attention,
    "svdf": _svdf,
    "matmul": _matmul,
    "reduction": _inputs,
    "pool": _pool,
    "global_pool": _pool,
    "adaptive_pool": lambda op: int(op.attributes["taps"]),
    "merge": _elementwise,
    "average": lambda op: _outputs(op) * len(op.inputs),
    "dot": _dot,
    "masking": _inputs,
    "comparison": _inputs,
    "any": _inputs,
    "permutation": _permute,
    "resizing": _resize,
    "up_sampling": _resize,
    "space_to_batch": _apart,
    "batch_to_space": _apart,
}
# Of these the count differs by version.
BY_VERSION: dict[str, Callable[[Operator, Accounting], int]] = {
    "dense": _dense,
    "bidirectional": _bidirectional,
    "time_distributed": _time_distributed,
}


def macc(op: Operator, rules: Accounting = NEWEST) -> int | None:
    """MACC of one operator with the activation that it holds; None where there is no rule for either."""
    each = _nonlinearity(op, rules)
    if not has_rule(op.facts) or each is None or any(macc(inner, rules) is None for inner in _inside(op)):
        return None
    return _own(op, rules) + each * _outputs(op)


def has_rule(kind: LayerKind) -> bool:
    """Whether layers of that kind are counted."""
    return kind.macc is not None or kind.family in RULES or kind.family in BY_VERSION


def _own(op: Operator, rules: Accounting) -> int:
    """MACC without those of the activation that it holds."""
    kind = op.facts
    if kind.macc is not None:
        return kind.macc * _outputs(op)
    return BY_VERSION[kind.family](op, rules) if kind.family in BY_VERSION else RULES[kind.family](op)


def _is_int8(op: Operator) -> bool:
    """Whether its results are 8-bit."""
    return op.precision is not None and op.precision.outputs is Format.INT8


def _nonlinearity(op: Operator, rules: Accounting) -> int | None:
    """MACC an element of the activation that an operator holds."""
    name = op.attributes.get("activation", "linear")
    if _is_int8(op):
        if name in ("relu", "relu6"):
            return rules.int8_relu6 if name == "relu6" else 0
        if name == "softmax":
            return rules.int8_softmax
        if name == "sigmoid":
            return INT8_SIGMOID
    if name == "relu6":
        return rules.relu6
    return rules.elu if name == "elu" else FUNCTIONS[name].macc if name in FUNCTIONS else None


def step_macc(step: Step, rules: Accounting = NEWEST) -> int | None:
    """MACC of a step: all its operators less a folded batch norm; None if one of them has no rule."""
    counts = [macc(op, rules) for op in step.operators if op not in step.folded]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def assumed(op: Operator) -> str:
    """Its kind, its activation or both where their counts are assumptions, as "SimpleRNN" or "gelu"; else empty."""
    function = FUNCTIONS.get(op.attributes.get("activation", ""))
    names = [row.name for row in (op.facts, function) if row and row.assumed]
    return " with ".join([*names, *(dict.fromkeys(filter(None, map(assumed, _inside(op)))))])


def not_costed(op: Operator) -> str:
    """Why an operator has no figure, for the report; empty for one that has."""
    if macc(op) is not None:
        return ""
    if not has_rule(op.facts):
        return f"{op.name} ({op.kind})"
    for inner in _inside(op):
        if macc(inner) is None:
            return not_costed(inner)
    return f"{op.name} (the activation {op.attributes['activation']})"
