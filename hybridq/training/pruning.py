"""Magnitude pruning: the smallest weights become zero and stay it, more of them from epoch to epoch.

After Zhu and Gupta, "To prune, or not to prune" (arXiv 1710.01878), with an epoch as the step: in every kernel by
itself the weights of the smallest magnitude, a share that rises along a cubic and is full in the last epoch of the
schedule. Biases and batch norms are not pruned. An image leaves out the zeros of dense layers (`image/sparse.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.errors import UserError

if TYPE_CHECKING:
    import keras

    from hybridq.training.settings import PruneSettings


def sparsity(settings: PruneSettings, epoch: int) -> float:
    """The share of zeros in an epoch, counted from 0."""
    epochs = settings.last - settings.first + 1
    share = min(max((epoch + 2 - settings.first) / epochs, 0.0), 1.0)
    return settings.sparsity * (1 - (1 - share) ** 3)


@dataclass(frozen=True)
class Masks:
    """The kernels of a network, each with ones where a weight is kept and zeros where it is pruned."""

    pairs: tuple[tuple[keras.Variable, keras.Variable], ...]

    def prune(self, share: float) -> None:
        """Choose the pruned weights anew: those that are zero already are the smallest."""
        for kernel, mask in self.pairs:
            values = np.abs(kernel.numpy())
            kept = np.ones(values.size, np.float32)
            kept[np.argsort(values.ravel(), kind="stable")[: round(share * values.size)]] = 0
            mask.assign(kept.reshape(values.shape))
        self.apply()

    def apply(self) -> None:
        """Set the pruned weights to zero."""
        for kernel, mask in self.pairs:
            kernel.assign(kernel * mask)


@contextmanager
def masked_kernels(model: keras.Model) -> Iterator[Masks]:
    """While it lasts, each training step leaves the pruned weights zero; to begin with none is pruned.

    The masks are constraints of the variables, as in `latent_clipping`. Raises UserError for a network with
    weights of a format that has no zero.
    """
    import keras

    for layer in model.layers:
        quantizers = (getattr(layer, f"{name}_quantizer_internal", None) for name in ("kernel", "depthwise"))
        for of_format in filter(None, (getattr(one, "format", None) for one in quantizers)):
            if not of_format.has_zero:
                raise UserError(f"training.prune: the {of_format} weights of {layer.name} have no zero")
    kernels = [variable for variable in model.trainable_variables if len(variable.shape) > 1]
    masks = Masks(tuple((one, keras.Variable(np.ones(one.shape, np.float32), trainable=False)) for one in kernels))
    own = [kernel.constraint for kernel in kernels]
    for kernel, mask in masks.pairs:
        kernel.constraint = partial(_masked, mask, kernel.constraint)
    try:
        yield masks
    finally:
        for kernel, before in zip(kernels, own, strict=True):
            kernel.constraint = before


def _masked(mask: keras.Variable, own: Any, weights: Any) -> Any:
    return (own(weights) if own else weights) * mask
