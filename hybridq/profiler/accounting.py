"""How the costs of a network are counted: as ST's tool does, by its version, or for an image of our own.

One row of a table for each version in which something changes. The rules were read off published reports of X-CUBE-AI
5.0 to 9.0 and of its successor, ST Edge AI Core 1.0 to 2.2, whose version numbers start again. A version between two
rows counts as the earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hybridq.errors import UserError

NAME = "x-cube-ai"
OWN = "packed"


@dataclass(frozen=True)
class Accounting:
    """One version's rules, where versions differ; the rest is in `macc`, `merge` and `arena`."""

    version: tuple[int, int]
    core: bool  # ST Edge AI Core, the successor
    buffers_inside: bool  # the network's inputs and outputs lie in the activation arena
    merges_pools: bool  # a pool runs inside the convolution before it
    folds_forward: bool  # a batch norm is folded into an unpadded convolution or dense layer after it
    window_scratch: bool  # a convolution, but a depthwise one, holds the values under its kernel
    edge_unpadded: int  # what a convolution in place keeps away from its input: pixels, without padding
    edge_padded: int  # the same with padding, beyond the padded rows
    dense_bias: bool  # a dense layer counts one MACC more for each output, as a convolution does in every version
    elu: int  # MACC an element; 10 as the reference network's nonlinearity counts, 11 as in a report of Core 2.2
    int8_relu6: int  # MACC an element; in 5.2 all layers of one network count it, about half of another
    int8_softmax: int  # MACC an element; 19 where it runs in float, with a conversion of 2 before it and behind it
    in_place: bool = True  # convolutions may write over their input; False where optimised for time
    own: bool = False  # our image: it stores the scales of quantized kernels, and its kernels need no scratch

    @property
    def label(self) -> str:
        """The name for a report: "x-cube-ai 8.1", "x-cube-ai core 2.2, optimised for time", "packed"."""
        if self.own:
            return OWN
        number = "core " * self.core + ".".join(map(str, self.version))
        return f"{NAME} {number}" + ("" if self.in_place else ", optimised for time")


#          version   core   inside merges forward window unpadded padded dense elu relu6 softmax
VERSIONS = (
    Accounting((5, 0), False, False, True, False, False, 1, 0, False, 10, 0, 19),
    Accounting((5, 2), False, False, True, False, False, 1, 0, False, 10, 2, 19),
    Accounting((6, 0), False, False, True, False, False, 1, 1, True, 10, 0, 19),
    Accounting((7, 0), False, False, True, False, False, 1, 0, True, 10, 0, 15),  # padded: the reference network's
    Accounting((7, 2), False, True, True, False, False, 0, 1, True, 11, 0, 15),
    Accounting((8, 0), False, True, False, False, False, 0, 1, True, 11, 0, 15),
    Accounting((9, 0), False, True, True, False, False, 0, 1, True, 11, 0, 15),
    Accounting((1, 0), True, True, True, False, True, 0, 1, True, 11, 0, 15),
    Accounting((2, 0), True, True, True, True, True, 0, 1, True, 11, 0, 15),  # folds_forward: seen in 2.2, not before
)
# Our own, for what has no image (`profiler.packed` has the figures of what has one): inputs and outputs are part of the
# arena; a convolution never writes over its input.
PACKED = Accounting((0, 0), False, True, True, False, False, 0, 0, True, 11, 0, 15, in_place=False, own=True)
RELEASED = {False: 10, True: 4}  # the last major versions of X-CUBE-AI and, True, of Core
NEWEST = replace(VERSIONS[-1], version=(2, 2))


def accounting(name: str = NAME) -> Accounting:
    """The rules by their name: "x-cube-ai" is the newest, "x-cube-ai:8.1" that version, "x-cube-ai:2.2" that of Core.

    With ":time" behind the version, as the tool counts when told to optimise for time. "packed" is what an image of
    our own stores: packed weights, and the table of scales of every layer with a quantized kernel. Raises UserError
    for others.
    """
    if name == OWN:
        return PACKED
    kind, _, rest = name.partition(":")
    number, _, mode = rest.partition(":")
    rules = _version(number) if rest else NEWEST
    if kind != NAME or rules is None or mode not in ("", "time"):
        known = ", ".join(f"{NAME}:{row.version[0]}.{row.version[1]}" for row in VERSIONS)
        raise UserError(
            f"'{name}' is not an accounting; known are {OWN}, {NAME} (the newest), {known}, those between, and "
            f"later ones to {RELEASED[False]} and, of Core, {RELEASED[True]}"
        )
    # Optimised for time, the tool neither overlaps nor merges.
    return replace(rules, in_place=False, merges_pools=False) if mode == "time" else rules


def _version(number: str) -> Accounting | None:
    major, _, minor = number.partition(".")
    if not (major.isdecimal() and (minor or "0").isdecimal()):
        return None
    version = int(major), int(minor or 0)
    core = version[0] < VERSIONS[0].version[0]
    if version[0] > RELEASED[core]:
        return None
    rows = [row for row in VERSIONS if row.core == core and row.version <= version]
    return replace(rows[-1], version=version) if rows else None
