"""Random changes to training inputs by Keras' own layers; what they are depends on the seed and the epoch alone."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybridq.data.settings import LayersAugment
from hybridq.errors import UserError, did_you_mean, first_line


class Augmentation:
    """The layers of a recipe; they are made when they are first used."""

    def __init__(self, settings: LayersAugment) -> None:
        self.settings = settings

    def apply(self, inputs: NDArray[Any], seed: tuple[int, ...]) -> NDArray[Any]:
        """Inputs (n, *shape), changed at random by that seed; without layers as they are."""
        if not self._layers:
            return inputs
        import keras

        changed: Any = np.asarray(inputs, np.float32)
        states = np.random.SeedSequence(seed).spawn(len(self._layers))
        for layer, state in zip(self._layers, states, strict=True):
            layer.generator.state.assign(state.generate_state(2).astype(np.uint32))
            changed = layer(changed, training=True)
        return np.asarray(keras.ops.convert_to_numpy(changed))

    @cached_property
    def _layers(self) -> list[Any]:
        return [_made(name, given) for layer in self.settings.layers for name, given in layer.items()]

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise UserError where there is no such layer, or it cannot change inputs of that shape."""
        for layer in self.settings.layers:
            for name, given in layer.items():
                made = _made(name, given)
                try:
                    result = made(np.zeros((2, *shape), np.float32), training=True)
                except Exception as error:  # whatever Keras trips over
                    raise UserError(f"training.augment.layers: {name} cannot change inputs of {shape}") from error
                if tuple(result.shape[1:]) != shape:
                    raise UserError(f"training.augment.layers: {name} makes {tuple(result.shape[1:])} of {shape}")


def _made(name: str, settings: dict[str, Any]) -> Any:
    from hybridq.backend.tensorflow import load_tensorflow

    load_tensorflow()
    import keras

    kind = getattr(keras.layers, name, None)
    if kind is None:
        known = [one for one in dir(keras.layers) if one.startswith("Random")]
        raise UserError(f"training.augment.layers: Keras has no layer '{name}'{did_you_mean(name, known)}")
    try:
        return kind(**settings)
    except Exception as error:  # whatever Keras trips over
        raise UserError(f"training.augment.layers: {name}: {first_line(error)}") from error
