"""Fit a network: epochs of augmented clips, a learning-rate schedule, a checkpoint after every epoch.

A checkpoint is one file: the weights, the optimizer's state, the weights of the best epoch so far, and the history. A
run that is resumed from it goes on as if it had not stopped: each epoch's clips depend on the seed and the epoch alone.
"""

from __future__ import annotations

import io
import json
import math
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hybridq.backend.tensorflow import bfloat16_products
from hybridq.data.task import Task
from hybridq.errors import RUN_FAILED, NotWritable, UserError
from hybridq.training.distillation import taught_by
from hybridq.training.fused_norms import fused_norms
from hybridq.training.latent_clipping import clipped_latents, latent_bound
from hybridq.training.pruning import masked_kernels, sparsity

if TYPE_CHECKING:
    import keras

    from hybridq.training.settings import TrainingSettings

STEP_DROPS = ((0.6, 0.1), (0.85, 0.01))  # schedule 'step': after this share of the steps, this factor


@dataclass(frozen=True)
class Epoch:
    """What one epoch reached; accuracies in percent, sparsity as the share of weights that are pruned."""

    epoch: int
    training_accuracy: float
    training_loss: float
    validation_accuracy: float
    validation_loss: float
    learning_rate: float
    sparsity: float = 0.0


@dataclass
class History:
    """The epochs done, and the minutes that they took over all sittings."""

    epochs: list[Epoch] = field(default_factory=list)
    minutes: float = 0.0

    @property
    def best(self) -> Epoch:
        """The epoch whose weights are kept: the highest validation accuracy, the lower loss between equals.

        Where weights are pruned, one of those with the fewest.
        """
        return max(self.epochs, key=lambda e: (e.sparsity, e.validation_accuracy, -e.validation_loss))


class Watcher(Protocol):
    """Is told how training goes: the progress bar, the tracking store."""

    def begin(self, epochs: Sequence[Epoch]) -> None: ...  # those of earlier sittings

    def batch(self, epoch: int, share: float, accuracy: float) -> None: ...  # share of the epoch, percent

    def epoch(self, epoch: Epoch) -> None: ...


class Judge(Protocol):
    """May end a training before its time, by how it compares with others: for a search that stops the worst of many."""

    @property
    def key(self) -> str: ...  # what decides its word: a run that it may end equals runs under the same key alone

    # Asked once after each epoch, and when a run goes on. `latest` measures the weights of the last step on the
    # validation clips, in percent: in the first epochs their moving average, which the epochs tell of, is behind them.
    def enough(self, epochs: Sequence[Epoch], latest: Callable[[], float]) -> bool: ...


def learning_rate(settings: TrainingSettings, step: int, steps_per_epoch: int) -> float:
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


def train(
    model: keras.Model,
    data: Task,
    settings: TrainingSettings,
    file: Path,
    watcher: Watcher,
    resume: bool = False,
    teachers: Sequence[keras.Model] = (),
    judge: Judge | None = None,
) -> History:
    """Train the model; at the end it has the weights of its best epoch on the validation clips.

    With `teachers`, networks for the same inputs and words, their answers are the targets (`distillation`).
    A `judge` may end it early; the learning rate falls as if it did not.
    `file` is the checkpoint, written after every epoch. Raises UserError (exit status 1) where the loss becomes NaN or
    infinite, NotWritable where the checkpoint cannot be written. An interrupt leaves the checkpoint of the last epoch.
    """
    compile_model(model, settings)
    history, best = _restore(file, model) if resume and file.exists() else (History(), model.get_weights())
    steps = math.ceil(data.size("training") / settings.batch)
    callback = _watch_batches(settings, steps, watcher)
    retarget = taught_by(teachers, settings.teacher_share, settings.teacher_temperature) if teachers else None

    def latest() -> float:
        return 100 * validate(model, data)["accuracy"]

    done = len(history.epochs)
    watcher.begin(history.epochs)
    last = done if done and judge and judge.enough(history.epochs, latest) else settings.epochs
    clock = time.monotonic()
    with ExitStack() as during:
        epochs = data.epochs(done, last, settings.seed, retarget)
        during.enter_context(closing(epochs))
        during.enter_context(fused_norms(model))
        bound = during.enter_context(clipped_latents(model)) if settings.latent_clip else None
        masks = during.enter_context(masked_kernels(model)) if settings.prune.sparsity else None
        for number, (x, y) in enumerate(epochs, done):
            _seed_dropout(model, settings.seed, number)
            if bound is not None:
                bound.assign(latent_bound(settings, number))
            if masks is not None:
                masks.prune(sparsity(settings.prune, number))
            with bfloat16_products() if settings.bfloat16 else nullcontext():
                fitted = model.fit(
                    x, y, batch_size=settings.batch, shuffle=False, epochs=number + 1, initial_epoch=number,
                    class_weight=data.class_weights(), callbacks=[callback], verbose=0,
                ).history  # fmt: skip
            if not math.isfinite(fitted["loss"][-1]):
                raise UserError(
                    f"training diverged: the loss is {fitted['loss'][-1]} in epoch {number + 1}; "
                    f"try a training.learning_rate below {settings.learning_rate}",
                    RUN_FAILED,
                )
            # Keras ends every fit by giving the model the moving average of its weights, where there is one. In JAX the
            # two are then one array, which the next step of the model uses up: make it two.
            model.set_weights(model.get_weights())
            if masks is not None:
                masks.apply()
            checked = validate(model, data)
            row = Epoch(
                epoch=number + 1,
                training_accuracy=100 * fitted["accuracy"][-1],
                training_loss=fitted["loss"][-1],
                validation_accuracy=100 * checked["accuracy"],
                validation_loss=checked["loss"],
                learning_rate=float(model.optimizer.learning_rate),
                sparsity=sparsity(settings.prune, number),
            )
            history.epochs.append(row)
            if history.best is row:
                best = model.get_weights()
            for variable, value in zip(model.trainable_variables, callback.latest, strict=True):
                variable.assign(value)
            history.minutes += (time.monotonic() - clock) / 60
            clock = time.monotonic()
            _save(file, model, history, best)
            watcher.epoch(row)
            if judge and judge.enough(history.epochs, latest):
                break
    model.set_weights(best)
    return history


def best_weights(file: Path, model: keras.Model) -> bool:
    """Give the model the weights of the best epoch in a checkpoint; False where there is no checkpoint."""
    if not file.exists():
        return False
    with _opened(file) as saved:
        model.set_weights([saved[f"best {i}"] for i in range(len(model.weights))])
    return True


def compile_model(model: keras.Model, settings: TrainingSettings) -> None:
    """Give the model its loss and its optimizer, as the recipe's `training` section says."""
    import keras

    options: dict[str, Any] = {"learning_rate": settings.learning_rate}
    if settings.average:
        options |= {"use_ema": True, "ema_momentum": settings.average}
    if settings.weight_decay:
        options |= {"weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        options |= {"momentum": 0.9, "nesterov": True}
    optimizer = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW, "sgd": keras.optimizers.SGD}
    model.compile(
        optimizer[settings.optimizer](**options),
        keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.CategoricalCrossentropy(name="cross_entropy"),
        ],
    )
    # Metrics by name, and an optimizer as it comes, make their variables in the first step, which is then traced twice.
    model.optimizer.build(model.trainable_variables)


def validate(model: keras.Model, data: Task) -> dict[str, float]:
    """Loss, accuracy (0 to 1) and cross-entropy (labels not smoothed) of a compiled model on the validation clips."""
    inputs, truth = data.inputs("validation")
    targets = np.eye(len(data.labels), dtype=np.float32)[truth]
    found: dict[str, float] = model.evaluate(inputs, targets, batch_size=256, verbose=0, return_dict=True)
    return found


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the random state of every dropout layer by seed and epoch, for it does not travel in a saved model."""
    layers = [layer for layer in model.layers if hasattr(layer, "seed_generator")]
    for layer, state in zip(layers, np.random.SeedSequence((seed, epoch)).spawn(len(layers)), strict=True):
        layer.seed_generator.state.assign(state.generate_state(2).astype(np.uint32))


def _watch_batches(settings: TrainingSettings, steps: int, watcher: Watcher) -> Any:
    import keras

    class Batches(keras.callbacks.Callback):  # type: ignore[misc]
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
            watcher.batch(self.number + 1, (batch + 1) / steps, 100 * logs["accuracy"])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.latest = [variable.numpy() for variable in self.model.trainable_variables]

    return Batches()


def _save(file: Path, model: keras.Model, history: History, best: list[Any]) -> None:
    """Write beside the file, then rename: a killed process or a full disk leaves the old checkpoint whole."""
    state = {"minutes": history.minutes, "epochs": [asdict(epoch) for epoch in history.epochs]}
    arrays = {f"best {i}": value for i, value in enumerate(best)}
    arrays |= {f"model {i}": value for i, value in enumerate(model.get_weights())}
    arrays |= {f"optimizer {i}": variable.numpy() for i, variable in enumerate(model.optimizer.variables)}
    content = io.BytesIO()
    np.savez(content, state=np.array(json.dumps(state)), **arrays)
    temporary = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.getbuffer())
        os.replace(temporary, file)
    except OSError as error:
        raise NotWritable(file.parent, error) from error


def _restore(file: Path, model: keras.Model) -> tuple[History, list[Any]]:
    """Give model and optimizer their state back; returns the history, and the weights of the best epoch."""
    count = len(model.weights)
    with _opened(file) as saved:
        state = json.loads(str(saved["state"]))
        history = History([Epoch(**row) for row in state["epochs"]], state["minutes"])
        model.set_weights([saved[f"model {i}"] for i in range(count)])
        for i, variable in enumerate(model.optimizer.variables):
            variable.assign(saved[f"optimizer {i}"])
        return history, [saved[f"best {i}"] for i in range(count)]


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """The arrays of a checkpoint by name; raises UserError where they cannot be read, or are not those looked for."""
    try:
        with np.load(file) as saved:
            yield saved
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"the checkpoint {file} cannot be read ({error}); train again without --resume") from error
