"""What a training step of the quantized networks costs beside the float32 one: same batch, same machine, one run.

    python tools/benchmark_step.py [RECIPE...] [--turns 9] [--keras-norms] [--bfloat16]

Without recipes: recipes/paper/{fp32,int8,hybrid}.yaml. With --keras-norms each trains also by the batch norms of Keras,
with --bfloat16 also with `training.bfloat16`. KERAS_BACKEND=jax measures JAX.

The networks take turns, a block of steps each, and the median of the ratios within a turn counts: other work on
the machine then slows all of them. The processor time, of all threads together, is told besides: it hardly depends
on that work. So is that of a batch of answers, which is what a network costs as a teacher.
"""

import argparse
import os
import statistics
import time
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

RECIPES = Path(__file__).resolve().parent.parent / "recipes" / "paper"
STEPS, TURNS = 30, 9


def main() -> None:
    """Print the time of a step of each network, and its ratio to the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", type=Path, help="the first is the one to compare with")
    parser.add_argument("--turns", type=int, default=TURNS, help="how many turns; of more the median is steadier")
    parser.add_argument("--keras-norms", action="store_true", help="each also without hybridq.training.fused_norms")
    parser.add_argument("--bfloat16", action="store_true", help="each also as with training.bfloat16")
    given = parser.parse_args()
    paths = given.recipes or [RECIPES / f"{name}.yaml" for name in ("fp32", "int8", "hybrid")]

    from hybridq.backend.tensorflow import bfloat16_products
    from hybridq.recipe.file import load_recipe
    from hybridq.runs.experiment import network
    from hybridq.training.fit import compile_model
    from hybridq.training.fused_norms import fused_norms

    manners = {"": (fused_norms, nullcontext)}
    if given.keras_norms:
        manners[" with the batch norms of Keras"] = (nullcontext, nullcontext)
    if given.bfloat16:
        manners[" in bfloat16"] = (fused_norms, bfloat16_products)
    models, ways = {}, {}
    for path in paths:
        recipe = load_recipe(path)
        for manner, way in manners.items():
            name = recipe.name + manner
            models[name], ways[name] = network(recipe, 10), way
            compile_model(models[name], recipe.training)
    rng = np.random.default_rng(0)
    batch = recipe.training.batch
    y = np.eye(10, dtype=np.float32)[rng.integers(0, 10, batch * STEPS)]
    inputs = {
        name: rng.standard_normal((len(y), *model.input_shape[1:])).astype(np.float32) for name, model in models.items()
    }
    took: dict[str, list[float]] = {name: [] for name in models}
    asked: dict[str, list[float]] = {name: [] for name in models}
    worked: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(given.turns + 1):
        for name, model in models.items():
            norms, products = ways[name]
            with norms(model):
                start, before = time.perf_counter(), time.process_time()
                with products():
                    model.fit(inputs[name], y, batch_size=batch, verbose=0)
            if turn:  # the first turn traces the graphs
                took[name].append(1e3 * (time.perf_counter() - start) / STEPS)
                worked[name].append(1e3 * (time.process_time() - before) / STEPS)
            model.set_weights(model.get_weights())  # as hybridq.training.fit does, for JAX
            before = time.process_time()
            model.predict_on_batch(inputs[name])
            if turn:
                asked[name].append(1e3 * (time.process_time() - before) / STEPS)
    first = next(iter(models))
    for name, times in took.items():
        ratios = [mine / base for mine, base in zip(times, took[first], strict=True)]
        print(
            f"{name}: {statistics.median(times):.1f} ms a step of {batch} clips, {statistics.median(ratios):.2f} times "
            f"{first} ({min(ratios):.2f} to {max(ratios):.2f} over {given.turns} turns); "
            f"processor time {statistics.median(worked[name]):.1f} ms a step, "
            f"{statistics.median(asked[name]):.1f} ms for the answers alone"
        )


if __name__ == "__main__":
    main()
