"""Splits drawn from a seed: no group in two of them; without groups, each class in all of them by its share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError

Places = NDArray[np.int64]


def drawn(
    count: int, shares: dict[str, float], seed: int, groups: NDArray[Any] | None, classes: NDArray[Any] | None
) -> tuple[Places, dict[str, Places]]:
    """What is left of `count` examples, and those that are drawn into each split by its share of them, in their order.

    By whole groups (examples,) where they are given, else by class (examples,) where classes are. Raises UserError
    where there are too few groups.
    """
    rng = np.random.default_rng(seed)
    split_of = np.full(count, "", dtype="U16")
    if groups is not None:
        names = rng.permutation(np.unique(groups))
        at = 0
        for split, share in shares.items():
            taken = max(1, round(share * len(names))) if share else 0
            split_of[np.isin(groups, names[at : at + taken])] = split
            at += taken
        if at >= len(names):
            raise UserError(f"groups: {len(names)} are too few to draw {' and '.join(shares)} from, no group in two")
    else:
        strata = np.zeros(count, np.int64) if classes is None else np.unique(classes, return_inverse=True)[1]
        for stratum in range(int(strata.max()) + 1):
            inside = rng.permutation(np.flatnonzero(strata == stratum))
            at = 0
            for split, share in shares.items():
                taken = round(share * len(inside))
                split_of[inside[at : at + taken]] = split
                at += taken
    return np.flatnonzero(split_of == ""), {split: np.flatnonzero(split_of == split) for split in shares}
