"""Multiply-accumulates of each operator, as X-CUBE-AI counts them (tool 5.x).

The rules were read off its published reports. Together they give the published total of the float reference
network, 20,496,832, and every share in its table, to the last digit. To add an operator: one line in RULES.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from hybridq.graph import Operator
from hybridq.profiler.merge import FREE, Step

ACCOUNTING = "x-cube-ai 5.x"

# MACC per element. Seen in reports: ReLU, leaky ReLU (in the merged layer), PReLU, sigmoid, tanh, softmax.
# ELU: the reference network's nonlinearity counts 10, as sigmoid and tanh do; that it is ELU is our reading.
NONLINEARITIES = {
    "linear": 0,
    "relu": 1,
    "relu6": 1,
    "leaky_relu": 3,
    "prelu": 2,
    "sigmoid": 10,
    "tanh": 10,
    "softmax": 15,
    "elu": 10,
}
# No report has these: one exponential or tanh an element, and the product where there is one.
ASSUMED = {"selu": 10, "silu": 11, "gelu": 11}


def _outputs(op: Operator) -> int:
    return prod(op.output_shape)


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


def _dense(op: Operator) -> int:
    """Inputs x outputs + outputs. Some 5.x reports lack the last term; the reference network's has it."""
    return _outputs(op) * op.input_shapes[0][-1] + _outputs(op)


def _pool(op: Operator) -> int:
    return _outputs(op) * int(prod(op.attributes["kernel"]))


def _elementwise(op: Operator) -> int:
    return _outputs(op) * (len(op.inputs) - 1)


def _permute(op: Operator) -> int:
    """Half a MACC an element, as reports count a transposition."""
    return -(-_outputs(op) // 2)


RULES: dict[str, Callable[[Operator], int]] = {
    **{f"{form}Conv{n}D": _convolution for form in ("", "Depthwise") for n in (1, 2)},
    **{f"SeparableConv{n}D": _separable for n in (1, 2)},
    **{f"{form}{which}Pooling{n}D": _pool for form in ("", "Global") for which in ("Max", "Average") for n in (1, 2)},
    "Dense": _dense,
    "BatchNormalization": lambda op: 2 * _outputs(op),  # one scale and one offset an element
    **dict.fromkeys(("Add", "Multiply"), _elementwise),
    "Permute": _permute,
    **{kind: lambda op: 0 for kind in ("Concatenate", "ZeroPadding1D", "ZeroPadding2D")},
    **{kind: lambda op: 0 for kind in FREE},
    # the nonlinearity of these is counted by its name, as that inside a layer is
    **{kind: lambda op: 0 for kind in ("Activation", "ReLU", "ELU", "LeakyReLU", "PReLU", "Softmax")},
}


def macc(op: Operator) -> int | None:
    """MACC of one operator with the activation that it holds; None where there is no rule for either."""
    activation = op.attributes.get("activation", "linear")
    each = NONLINEARITIES.get(activation, ASSUMED.get(activation))
    if op.kind not in RULES or each is None:
        return None
    return RULES[op.kind](op) + each * _outputs(op)


def step_macc(step: Step) -> int | None:
    """MACC of a step: all its operators less a folded batch norm; None if one of them has no rule."""
    counts = [macc(op) for op in step.operators if op not in step.folded]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def assumed(op: Operator) -> str:
    """The name of its activation where the count is an assumption, else empty."""
    activation = str(op.attributes.get("activation"))
    return activation if activation in ASSUMED else ""


def not_costed(op: Operator) -> str:
    """Why an operator has no figure, for the report; empty for one that has."""
    if macc(op) is not None:
        return ""
    if op.kind not in RULES:
        return f"{op.name} ({op.kind})"
    return f"{op.name} (the activation {op.attributes['activation']})"
