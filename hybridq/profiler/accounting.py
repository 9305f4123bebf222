"""How the costs of a network are counted: as ST's tool does, by its version, or for an image of our own.

One row of a table for each version in which something changes. The rules were read off published reports of X-CUBE-AI
5.0 to 9.0 and of the tool inside it since, ST Edge AI Core 1.0 to 2.2, whose version numbers start again: X-CUBE-AI 9
is Core 1, 10 is Core 2, and so on, as both print it. A version between two rows counts as the earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hybridq.errors import UserError

NAME = "x-cube-ai"
OWN = "packed"
TFLM = "tflm"


@dataclass(frozen=True)
class Accounting:
    """One version's rules, where versions differ; the rest is in `macc`, `merge` and `arena`."""

    version: tuple[int, int]
    core: bool  # of ST Edge AI Core, the tool inside X-CUBE-AI 9.0 and later
    buffers_inside: bool  # the network's inputs and outputs lie in the activation arena
    merges_pools: bool  # a pool runs inside the convolution before it
    folds_forward: bool  # a batch norm is folded into an unpadded convolution or dense layer after it
    window_scratch: bool  # a convolution, but a depthwise one, holds the values under its kernel
    edge_unpadded: int  # what a convolution in place keeps away from its input: pixels, without padding
    edge_padded: int  # the same with padding, beyond the padded rows
    dense_bias: bool  # a dense layer counts one MACC more for each output, as a convolution does in every version
    elu: int  # MACC an element; 10 as the reference network's nonlinearity counts, 11 as in a report of Core 2.2
    relu6: int  # MACC an element of a float one; 2 where it is a layer of its own
    int8_relu6: int  # MACC an element; in 5.2 all layers of one network count it, about half of another
    int8_softmax: int  # MACC an element; 19 where it runs in float, with a conversion of 2 before it and behind it
    unclipped: bool  # an 8-bit convolution holds its result before its nonlinearity too, where that is no ReLU
    around_clipping: bool  # it lays networks with such convolutions around their fullest step
    around_branching: bool  # 8-bit networks that branch too
    in_place: bool = True  # convolutions may write over their input; False where optimised for time
    copies: bool = True  # 8-bit convolutions may copy their input with the padding; False where optimised for RAM
    own: bool = False  # our image: it stores the scales of quantized kernels, and its kernels need no scratch
    tflm: bool = False  # TensorFlow Lite for Microcontrollers: see `profiler.tflm`, which has all its rules

    @property
    def label(self) -> str:
        """The name for a report: "x-cube-ai 8.1", "x-cube-ai core 2.2, optimised for time", "packed", "tflm"."""
        if self.own or self.tflm:
            return OWN if self.own else TFLM
        number = "core " * self.core + ".".join(map(str, self.version))
        mode = "" if self.in_place and self.copies else f", optimised for {'RAM' if self.in_place else 'time'}"
        return f"{NAME} {number}{mode}"


#          version core inside merges forward window unpadded padded dense elu relu6 int8 softmax unclipped clip branch
VERSIONS = (
    Accounting((5, 0), False, False, True, False, False, 1, 0, False, 10, 1, 0, 19, False, False, False),
    Accounting((5, 2), False, False, True, False, False, 1, 0, False, 10, 1, 2, 19, False, False, False),
    Accounting((6, 0), False, False, True, False, False, 1, 1, True, 10, 1, 0, 19, False, False, False),
    # of 7.0, the edge of a padded one: as in the reference network's report
    Accounting((7, 0), False, False, True, False, False, 1, 0, True, 10, 1, 0, 15, False, False, False),
    Accounting((7, 2), False, True, True, False, False, 0, 1, True, 11, 1, 0, 15, True, True, False),
    Accounting((8, 0), False, True, False, False, False, 0, 1, True, 11, 1, 0, 15, True, True, False),
    Accounting((1, 0), True, True, True, False, True, 0, 1, True, 11, 1, 0, 15, False, True, True),
    # folded forwards: seen in 2.2
    Accounting((2, 0), True, True, True, True, True, 0, 1, True, 11, 1, 0, 15, False, True, True),
    Accounting((2, 1), True, True, True, True, True, 0, 1, True, 11, 2, 0, 15, False, False, False),
)
# Our own, for what has no image (`profiler.packed` has the figures of what has one): inputs and outputs are part of the
# arena; a convolution never writes over its input.
PACKED = Accounting(
    (0, 0), False, True, True, False, False, 0, 0, True, 11, 1, 0, 15, False, False, False, in_place=False, own=True
)
# TensorFlow Lite for Microcontrollers runs each operator as it stands in the file; its MACC are counted as ST's are.
TFLM_RULES = replace(VERSIONS[-1], in_place=False, merges_pools=False, folds_forward=False, tflm=True)
# The last minor version of each that is known: of X-CUBE-AI before Core, and of Core. Core 3.0 and 4.0 (X-CUBE-AI 11.0
# and 12.0) count as 2.1: the one report of 3.0 that is known says nothing else.
RELEASED = {5: 2, 6: 1, 7: 3, 8: 1}
RELEASED_CORE = {1: 1, 2: 2, 3: 0, 4: 0}
CORE_IN = 8  # X-CUBE-AI 9 has Core 1
# What a mode behind the version changes: for time, the tool neither overlaps nor merges; for RAM, it copies no padding.
MODES: dict[str, dict[str, Any]] = {
    "": {},
    "time": {"in_place": False, "merges_pools": False},
    "ram": {"copies": False},
}
NEWEST = replace(VERSIONS[-1], version=(2, 2))


def accounting(name: str = NAME) -> Accounting:
    """The rules by their name: "x-cube-ai" is the newest, "x-cube-ai:8.1" that version, "x-cube-ai:2.2" that of Core,
    which X-CUBE-AI 10.2 has inside: "x-cube-ai:10.2" is the same.

    With ":time" or ":ram" behind the version, as the tool counts when told to optimise for it. "packed" is what an
    image of our own stores: packed weights, and the table of scales of every layer with a quantized kernel. "tflm" is
    what TensorFlow Lite for Microcontrollers takes for a `.tflite` file. Raises UserError for others.
    """
    if name in (OWN, TFLM):
        return PACKED if name == OWN else TFLM_RULES
    kind, _, rest = name.partition(":")
    number, _, mode = rest.partition(":")
    rules = _version(number) if rest else NEWEST
    if kind != NAME or rules is None or mode not in MODES:
        known = [f"{major}.0 to {major}.{minor}" if minor else f"{major}.0" for major, minor in RELEASED.items()]
        core = [f"{major}.{minor} ({major + CORE_IN}.{minor})" for major, minor in RELEASED_CORE.items()]
        raise UserError(
            f"'{name}' is not an accounting; known are {OWN}, {TFLM}, {NAME} (the newest) and {NAME}: with a version, "
            f"of X-CUBE-AI {', '.join(known)}, of ST Edge AI Core (X-CUBE-AI) to {', '.join(core)}"
        )
    return replace(rules, **MODES[mode])


def _version(number: str) -> Accounting | None:
    major, _, minor = number.partition(".")
    if not (major.isdecimal() and (minor or "0").isdecimal()):
        return None
    version = int(major), int(minor or 0)
    core = version[0] < VERSIONS[0].version[0] or version[0] > CORE_IN
    if version[0] > CORE_IN:
        version = version[0] - CORE_IN, version[1]
    if version[1] > (RELEASED_CORE if core else RELEASED).get(version[0], -1):
        return None
    rows = [row for row in VERSIONS if row.core == core and row.version <= version]
    return replace(rows[-1], version=version) if rows else None
