"""Several linear memories side by side as a Keras layer; importing this registers it with Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from hybridq.models.legendre import step

PACKAGE = "hybridq"


@keras.saving.register_keras_serializable(package=PACKAGE)
class LinearMemory(layers.Layer):  # type: ignore[misc]
    """Each signal of (batch, frames, signals) in a memory of its own: states (batch, frames, signals * order).

    Without `return_sequences` those of the last frame, (batch, signals * order). Nothing is learned, see
    `hybridq.models.legendre`; `window` counts frames.

    A clip by itself begins with states of zero. In training each clip follows another of its batch, whose frames are
    heard before its own and learn nothing from it: a stream is never reset, so what was there before must not matter.
    An `online` layer is that stream: it has a batch of one, and goes on from the states that its last call has left.
    """

    def __init__(
        self, order: int, window: float, return_sequences: bool = True, online: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.order, self.window = order, window
        self.return_sequences, self.online = return_sequences, online

    def build(self, shape: tuple[int, ...]) -> None:
        """Variables only for the states of a stream."""
        if self.online:
            states = (1, shape[-1], self.order)
            self.states = self.add_weight(shape=states, initializer="zeros", trainable=False, name="states")

    def call(self, x: Any, training: bool = False) -> Any:
        """See the class."""
        if self.online:
            states = self._streamed(x)
        else:
            frames = x.shape[1]
            if training:
                x = ops.concatenate([ops.stop_gradient(ops.roll(x, 1, axis=0)), x], axis=1)
            states = ops.einsum("bsm,sti->btmi", x, self._response(x.shape[1], frames))
        states = ops.reshape(states, (-1, *states.shape[1:2], x.shape[2] * self.order))
        return states if self.return_sequences else states[:, -1]

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Of the states that it returns."""
        assert shape[-1] is not None
        frames = shape[1:2] if self.return_sequences else ()
        return (shape[0], *frames, shape[-1] * self.order)

    def get_config(self) -> dict[str, Any]:
        """What a saved model needs to make it again."""
        own = {name: getattr(self, name) for name in ("order", "window", "return_sequences", "online")}
        return {**super().get_config(), **own}

    def _response(self, heard: int, frames: int) -> Any:
        """By what frame s of those heard counts in the states of each of the last frames: (heard, frames, order)."""
        back = np.arange(heard - frames, heard)[None, :] - np.arange(heard)[:, None]
        if not self.return_sequences:
            back = back[:, -1:]
        response = step(self.order, self.window).impulse_response(heard)
        effect = np.where(back[..., None] >= 0, response[np.maximum(back, 0)], 0.0)
        return ops.convert_to_tensor(effect.astype(np.float32))

    def _streamed(self, x: Any) -> Any:
        once = step(self.order, self.window)
        a, b = (ops.convert_to_tensor(one.astype(np.float32)) for one in (once.a, once.b))
        states, every = ops.convert_to_tensor(self.states), []
        for frame in range(x.shape[1]):
            states = ops.matmul(states, ops.transpose(a)) + x[:, frame, :, None] * b
            every.append(states)
        self.states.assign(states)
        return ops.stack(every, axis=1)
