"""What an image needs of the code around a network: what a program calls, and what gives the network its input.

Which there is, is for the caller to say. A network that reads what a program gives it has `hybridq.image.inference`; a
front end makes the input of a sensor's samples, of sound `hybridq.speech.c_front_end`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


class Interface(Protocol):
    """The C around a network: it defines `hybridq_input_row` of network.h."""

    @property
    def title(self) -> str:
        """What a network behind it is, as a sentence begins."""
        ...

    @property
    def usage(self) -> str:
        """How a program calls it: some lines of C."""
        ...

    @property
    def notes(self) -> str:
        """What the README says besides, in Markdown."""
        ...

    @property
    def defines(self) -> Mapping[str, int | str]:
        """What network.h says of the input besides its shape, by name without HYBRIDQ_."""
        ...

    @property
    def sources(self) -> Mapping[str, str]:
        """Its C files and headers by name, those with its tables included."""
        ...

    @property
    def program(self) -> str:
        """A main.c: the smallest program around it and the network."""
        ...

    def flash(self, constants: Mapping[str, int]) -> dict[str, int]:
        """Bytes of flash by purpose, of an image whose constants have these names and bytes."""
        ...

    def ram(self, variables: Mapping[str, int]) -> dict[str, int]:
        """Bytes of RAM by purpose, the network's tensors left out, of an image with variables of these bytes."""
        ...


class FrontEnd(Interface, Protocol):
    """A front end as C: samples in pieces of any size go in, columns of the network's input come out.

    It offers what `hybridq.image.machines` calls: `hybridq_init()`, `hybridq_push_audio(samples, count)` and
    `hybridq_classify(logits)`. Its program has the variables `bench_block`, at least a column of samples to push, and
    `bench_logits`.
    """

    @property
    def hop(self) -> int:
        """Samples from one column to the next."""
        ...

    def columns(self, samples: Samples) -> list[Samples]:
        """The samples cut where each completes a column."""
        ...
