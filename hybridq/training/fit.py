"""Fit a network: epochs of training examples, a learning-rate schedule, a checkpoint after every epoch.

A run that is resumed from its checkpoint goes on as if it had not stopped: each epoch's examples, and what dropout
drops, depend on the seed and the epoch alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.backend.tensorflow import bfloat16_products
from hybridq.data.task import Examples, LazyExamples, Task, TrainingData
from hybridq.errors import RUN_FAILED, UserError
from hybridq.training.checkpoint import Progress, restore, save
from hybridq.training.distillation import soft_targets
from hybridq.training.fused_norms import fused_norms
from hybridq.training.history import EarlyStopper, Epoch, History, Watcher
from hybridq.training.latent_clipping import clipped_latents, latent_bound
from hybridq.training.pruning import Masks, masked_kernels, sparsity
from hybridq.training.tasks import batches, learning_of, validate

if TYPE_CHECKING:
    import keras

    from hybridq.training.settings import FitSettings, TrainingSettings

STEP_DROPS = ((0.6, 0.1), (0.85, 0.01))  # schedule 'step': after this share of the steps, this factor


def train(
    model: keras.Model,
    data: TrainingData,
    settings: TrainingSettings,
    file: Path,
    watcher: Watcher,
    resume: bool = False,
    teachers: Sequence[keras.Model] = (),
    stopper: EarlyStopper | None = None,
) -> History:
    """Train the model; at the end it has the weights of its best epoch on the validation examples.

    With `teachers`, networks for the same inputs and labels, their answers are the targets (`distillation`).
    A `stopper` may end it early; the learning rate falls as if it did not.
    `file` is the checkpoint, written after every epoch. Raises UserError (exit status 1) where the loss becomes NaN or
    infinite, NotWritable where the checkpoint cannot be written. An interrupt leaves the checkpoint of the last epoch.
    """
    compile_model(model, settings, data.task)
    progress = restore(file, model) if resume and file.exists() else Progress(History(), model.get_weights())
    history = progress.history
    temperature = settings.teacher_temperature if data.task is Task.CLASSIFY else None
    retarget = soft_targets(teachers, settings.teacher_share, temperature) if teachers else None

    def stopped() -> bool:
        return stopper is not None and stopper.should_stop(history.epochs, lambda: validate(model, data).percent)

    done = len(history.epochs)
    watcher.begin(history.epochs)
    last = done if done and stopped() else settings.epochs
    clock = time.monotonic()
    with (
        closing(data.epochs(done, last, settings.seed, retarget)) as epochs,
        _fitting(model, data, settings, watcher) as fitting,
    ):
        for number, examples in enumerate(epochs, done):
            epoch = fitting.epoch(number, examples)
            history.epochs.append(epoch)
            if history.best is epoch:
                progress.best = model.get_weights()
            fitting.return_to_latest()
            history.minutes += (time.monotonic() - clock) / 60
            clock = time.monotonic()
            save(file, model, progress)
            watcher.epoch(epoch)
            if stopped():
                break
    model.set_weights(progress.best)
    return history


def learning_rate(settings: FitSettings, step: int, steps_per_epoch: int) -> float:
    """The rate of a step: a linear warm-up, then constant, a half cosine down to zero, or drops by ten (`step`)."""
    warmup = settings.warmup_epochs * steps_per_epoch
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, settings.epochs * steps_per_epoch - warmup)
    if settings.schedule == "cosine":
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    factor = 1.0
    if settings.schedule == "step":
        for after, drop in STEP_DROPS:
            factor = drop if share >= after else factor
    return settings.learning_rate * factor


def compile_model(model: keras.Model, settings: FitSettings, task: Task = Task.CLASSIFY) -> None:
    """Give the model the loss of its task and its optimizer, as the recipe's `training` section says."""
    import keras

    options: dict[str, Any] = {"learning_rate": settings.learning_rate}
    if settings.average:
        options |= {"use_ema": True, "ema_momentum": settings.average}
    if settings.weight_decay:
        options |= {"weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        options |= {"momentum": 0.9, "nesterov": True}
    optimizer = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW, "sgd": keras.optimizers.SGD}
    learning = learning_of(model, task)
    loss = learning.loss(settings.label_smoothing)
    model.compile(optimizer[settings.optimizer](**options), loss, metrics=learning.metrics())
    # Metrics by name, and an optimizer as it comes, make their variables in the first step, which is then traced twice.
    model.optimizer.build(model.trainable_variables)


@dataclass(frozen=True)
class _Fitting:
    """One training: what stays from epoch to epoch. `bound` and `masks` are None where latents or zeros are free."""

    model: keras.Model
    data: TrainingData
    settings: TrainingSettings
    class_weights: dict[int, float] | None
    steps: Any  # a callback: see `_step_callback`
    bound: keras.Variable | None
    masks: Masks | None

    def epoch(self, number: int, examples: Examples | LazyExamples) -> Epoch:
        """Train on the examples of an epoch, counted from 0, and validate.

        The model then has the weights that were validated: their moving average, where there is one.
        """
        _seed_dropout(self.model, self.settings.seed, number)
        if self.bound is not None:
            self.bound.assign(latent_bound(self.settings, number))
        if self.masks is not None:
            self.masks.prune(sparsity(self.settings.prune, number))
        fitted = self._fit(number, examples)
        # Keras ends every fit by giving the model the moving average of its weights, where there is one. In JAX the
        # two are then one array, which the next step of the model uses up: make it two.
        self.model.set_weights(self.model.get_weights())
        if self.masks is not None:
            self.masks.apply()
        validated = validate(self.model, self.data)
        return Epoch(
            epoch=number + 1,
            training_accuracy=100 * fitted["accuracy"] if "accuracy" in fitted else None,
            training_loss=fitted["loss"],
            validation_accuracy=validated.accuracy,
            validation_loss=validated.loss,
            learning_rate=float(self.model.optimizer.learning_rate),
            sparsity=sparsity(self.settings.prune, number),
        )

    def _fit(self, number: int, examples: Examples | LazyExamples) -> dict[str, float]:
        """The steps of an epoch; what Keras says of it. Raises UserError where the loss is no number."""
        batch, targets = self.settings.batch, learning_of(self.model, self.data.task).targets
        if isinstance(examples, tuple):
            given = {"x": examples[0], "y": targets(examples[1]), "batch_size": batch}
        else:
            given = {"x": batches(examples, batch, targets)}
        with bfloat16_products() if self.settings.bfloat16 else nullcontext():
            history = self.model.fit(
                **given, shuffle=False, epochs=number + 1, initial_epoch=number,
                class_weight=self.class_weights, callbacks=[self.steps], verbose=0,
            ).history  # fmt: skip
        fitted = {name: values[-1] for name, values in history.items()}
        if not math.isfinite(fitted["loss"]):
            raise UserError(
                f"training diverged: the loss is {fitted['loss']} in epoch {number + 1}; "
                f"try a training.learning_rate below {self.settings.learning_rate}",
                RUN_FAILED,
            )
        return fitted

    def return_to_latest(self) -> None:
        """Give the model the weights of its last step, not averaged: from these the next epoch goes on."""
        for variable, value in zip(self.model.trainable_variables, self.steps.latest, strict=True):
            variable.assign(value)


@contextmanager
def _fitting(
    model: keras.Model, data: TrainingData, settings: TrainingSettings, watcher: Watcher
) -> Iterator[_Fitting]:
    """A training of a compiled model; behind it nothing is left of what holds its weights."""
    with ExitStack() as during:
        during.enter_context(fused_norms(model))
        bound = during.enter_context(clipped_latents(model)) if settings.latent_clip else None
        masks = during.enter_context(masked_kernels(model)) if settings.prune.sparsity else None
        steps = _step_callback(settings, math.ceil(data.size("training") / settings.batch), watcher)
        yield _Fitting(model, data, settings, data.class_weights(), steps, bound, masks)


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the random state of every dropout layer by seed and epoch, for it does not travel in a saved model."""
    layers = [layer for layer in model.layers if hasattr(layer, "seed_generator")]
    for layer, state in zip(layers, np.random.SeedSequence((seed, epoch)).spawn(len(layers)), strict=True):
        layer.seed_generator.state.assign(state.generate_state(2).astype(np.uint32))


def _step_callback(settings: FitSettings, steps: int, watcher: Watcher) -> Any:
    """A callback that sets the rate of each of the `steps` of an epoch, tells of it, keeps the last one's weights."""
    import keras

    class Steps(keras.callbacks.Callback):  # type: ignore[misc]
        number = 0
        latest: list[Any]  # the weights after the last step, not averaged

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.number = epoch

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            rate = learning_rate(settings, self.number * steps + batch, steps)
            self.model.optimizer.learning_rate.assign(rate)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if not math.isfinite(logs["loss"]):
                self.model.stop_training = True
            watcher.batch(self.number + 1, (batch + 1) / steps)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.latest = [variable.numpy() for variable in self.model.trainable_variables]

    return Steps()
