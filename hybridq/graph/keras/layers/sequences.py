"""Layers over a sequence: recurrent ones and attention."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from hybridq.errors import UserError
from hybridq.graph.keras.layers.description import (
    LARGEST_DIMENSION,
    Config,
    Description,
    Rule,
    RuleOf,
    always,
    number,
    numbers,
    one,
    refused,
    unknown,
)
from hybridq.graph.keras.layers.windows import window
from hybridq.graph.kinds import LayerKind
from hybridq.graph.operators import Shape

GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}  # matrices of the input, and of the state
PEEPHOLES = 3  # weights by which the gates of a unit see its cell
STATES = {"SimpleRNN": 1, "GRU": 1, "LSTM": 2}  # vectors kept from one step to the next


def _recurrent(kind: LayerKind) -> Rule:
    """Input (steps, features), then perhaps the first states; the output, then perhaps the last states."""
    gates, states = GATES[kind.name], STATES[kind.name]

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        units = number(config, "units")
        if not inputs or len(inputs[0]) != 2 or any(shape != (units,) for shape in inputs[1:]):
            raise refused(inputs)
        steps, width = inputs[0]
        bias, whole = bool(config.get("use_bias", True)), bool(config.get("return_sequences"))
        twice = kind.name == "GRU" and bool(config.get("reset_after"))  # a bias for the input and one for the state
        attributes = {
            "units": units,
            "steps": steps,
            "gates": gates,
            "state": states * units,
            "use_bias": bias,
            "return_sequences": whole,
            "stateful": bool(config.get("stateful")),
        }
        return Description(
            "",
            (steps, units) if whole else (units,),
            attributes,
            kernel=gates * units * (width + units),
            bias=gates * units * (1 + twice) if bias else 0,
            further_outputs=((units,),) * states if config.get("return_state") else (),
        )

    return read


def _projected_lstm(config: Config, inputs: Sequence[Shape]) -> Description:
    """The LSTM of `hybridq.models.projected_lstm`: input (steps, features), output (projection,).

    Its kernels are the matrices of the gates, the peepholes of three of them, and the projection.
    """
    (steps, width), gates = one(inputs, 2), GATES["LSTM"]
    units, projection = number(config, "units"), number(config, "projection")
    if any(config.get(setting) for setting in ("return_sequences", "return_state")):
        return unknown("ProjectedLSTM that returns more than its last output")
    attributes = {
        "units": units,
        "steps": steps,
        "gates": gates,
        "projection": projection,
        "state": units + projection,
        "stateful": bool(config.get("stateful")),
    }
    return Description(
        "",
        (projection,),
        attributes,
        kernel=units * (gates * (width + projection) + PEEPHOLES + projection),
        bias=gates * units,
    )


def _linear_memory(config: Config, inputs: Sequence[Shape]) -> Description:
    """That of `hybridq.models.linear_memory`: input (steps, signals), output (steps, states) or the last (states,).

    It stores the two fixed matrices of a step once, for all its memories.
    """
    (steps, signals), order = one(inputs, 2), number(config, "order")
    window = config.get("window")
    if not isinstance(window, int | float) or not 1 <= window <= LARGEST_DIMENSION:
        raise UserError(f"window is {window!r}, not a number of 1 or more")
    states, whole = signals * order, bool(config.get("return_sequences", True))
    attributes = {
        "steps": steps,
        "signals": signals,
        "order": order,
        "window": float(window),
        "return_sequences": whole,
        "state": states,
        "stateful": bool(config.get("online")),
    }
    return Description("", (steps, states) if whole else (states,), attributes, other=order * order + order)


def _convolutional_lstm(kind: LayerKind) -> Rule:
    """An LSTM over images or sequences: input (steps, *places, channels); its products are convolutions."""
    axes = kind.axes

    def read(config: Config, inputs: Sequence[Shape]) -> Description:
        steps, *source = one(inputs, axes + 2)
        kernel, filters = numbers(config, "kernel_size", axes), number(config, "filters")
        strides, dilation = numbers(config, "strides", axes, 1), numbers(config, "dilation_rate", axes, 1)
        size, _ = window(config, tuple(source), kernel, strides, dilation)
        image, whole = (*size, filters), bool(config.get("return_sequences"))
        attributes = {
            "units": prod(image),
            "steps": steps,
            "gates": GATES["LSTM"],
            "state": STATES["LSTM"] * prod(image),
            "taps": prod(kernel) * (source[-1] + filters),  # that an output value of a gate reads at each step
            "stateful": bool(config.get("stateful")),
        }
        return Description(
            "",
            (steps, *image) if whole else image,
            attributes,
            kernel=GATES["LSTM"] * prod(kernel) * (source[-1] + filters) * filters,
            bias=GATES["LSTM"] * filters if config.get("use_bias", True) else 0,
            further_outputs=(image,) * STATES["LSTM"] if config.get("return_state") else (),
        )

    return read


def _multi_head_attention(config: Config, inputs: Sequence[Shape]) -> Description:
    """Query, value and perhaps key (else the value), each (..., places, features)."""
    if len(inputs) not in (2, 3) or any(len(shape) < 2 for shape in inputs):
        raise refused(inputs)
    query, value, key = (*inputs, inputs[1])[:3]
    if config.get("use_gate") or config.get("sliding_window") or value[:-1] != key[:-1]:
        return unknown("MultiHeadAttention with a gate, a window or a value unlike its key")
    axes, places = config.get("attention_axes"), range(1, len(query))
    if axes is not None and {axis % (len(query) + 1) for axis in axes} != set(places):
        return unknown("MultiHeadAttention along some axes")
    heads, width = number(config, "num_heads"), number(config, "key_dim")
    value_width = number(config, "value_dim") if config.get("value_dim") else width
    ends = config.get("output_shape") or query[-1:]
    ends = tuple(ends) if isinstance(ends, list | tuple) else (ends,)
    if not all(type(n) is int and n > 0 for n in ends):
        raise UserError(f"output_shape is {config.get('output_shape')!r}")
    bias = bool(config.get("use_bias", True))
    projected = heads * (query[-1] * width + key[-1] * width + value[-1] * value_width)
    attributes = {
        "heads": heads,
        "key_dim": width,
        "value_dim": value_width,
        "queries": prod(query[:-1]),
        "keys": prod(key[:-1]),
        "use_bias": bias,
    }
    return Description(
        "",
        (*query[:-1], *ends),
        attributes,
        kernel=projected + heads * value_width * prod(ends),
        bias=heads * (2 * width + value_width) + prod(ends) if bias else 0,
    )


def _grouped_query_attention(config: Config, inputs: Sequence[Shape]) -> Description:
    """As the attention of several heads, but several heads of the query share one of the keys and values."""
    if len(inputs) not in (2, 3) or any(len(shape) != 2 for shape in inputs):
        raise refused(inputs)
    query, value, key = (*inputs, inputs[1])[:3]
    if config.get("use_gate") or config.get("sliding_window") or value[0] != key[0]:
        return unknown("GroupedQueryAttention with a gate or a window")
    width, heads, shared = (number(config, k) for k in ("head_dim", "num_query_heads", "num_key_value_heads"))
    bias = bool(config.get("use_bias", True))
    attributes = {
        "heads": heads,
        "shared_heads": shared,
        "key_dim": width,
        "value_dim": width,
        "queries": query[0],
        "keys": key[0],
        "use_bias": bias,
    }
    return Description(
        "",
        query,
        attributes,
        kernel=width * (2 * heads * query[1] + shared * (key[1] + value[1])),
        bias=width * (heads + 2 * shared) + query[1] if bias else 0,
    )


def _attention(config: Config, inputs: Sequence[Shape]) -> Description:
    """Query, value and perhaps key, each (places, features); scores are dot products."""
    if config.get("score_mode", "dot") != "dot":
        return unknown(f"Attention, {config.get('score_mode')}")
    return _attend(inputs, int(bool(config.get("use_scale"))))


def _additive_attention(config: Config, inputs: Sequence[Shape]) -> Description:
    """Scores are sums over tanh(query + key), each feature perhaps with a scale of its own."""
    scaled = bool(config.get("use_scale", True))
    return _attend(inputs, inputs[0][-1] if inputs and inputs[0] and scaled else 0)


def _attend(inputs: Sequence[Shape], scales: int) -> Description:
    if len(inputs) not in (2, 3) or any(len(shape) != 2 for shape in inputs):
        raise refused(inputs)
    query, value, key = (*inputs, inputs[1])[:3]
    if query[1] != key[1] or value[0] != key[0]:
        raise refused(inputs)
    attributes = {"queries": query[0], "keys": key[0], "key_dim": key[1], "value_dim": value[1]}
    return Description("", (query[0], value[1]), attributes, other=scales)


RULES: dict[str, RuleOf] = {
    "recurrent": _recurrent,
    "projected_lstm": always(_projected_lstm),
    "linear_memory": always(_linear_memory),
    "convolutional_lstm": _convolutional_lstm,
    "attention": always(_attention),
    "additive_attention": always(_additive_attention),
    "multi_head_attention": always(_multi_head_attention),
    "grouped_query_attention": always(_grouped_query_attention),
}
