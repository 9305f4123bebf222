"""What `hybridq export` writes: the integer network, its C with all that it needs, and how to build it.

network.hqn   the integer network            build.json   what was planned: sizes, stages, the arena
src/          the C to take into a program   board/       start-up, linker script and a small main
README.md     how to build and call it          network.tflite  where asked for: the network for LiteRT
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.errors import NotWritable, UserError
from hybridq.image import toolchain
from hybridq.image.constants import constants_bytes
from hybridq.image.emit import emit, kernel_files
from hybridq.image.memory_plan import Map, Plan, plan
from hybridq.integer.artefact import NETWORK, digest, save_network
from hybridq.integer.checks import check
from hybridq.integer.convert import EVERYTHING
from hybridq.integer.network import IntegerNetwork, Layer, Memory, Weighted
from hybridq.integer.online import on_device
from hybridq.precision import PrecisionPlan
from hybridq.profiler import profile
from hybridq.profiler.accounting import OWN
from hybridq.runs.load_network import Trained, chain_of, find_trained
from hybridq.runs.model_folder import MODEL
from hybridq.speech import c_front_end as front_end
from hybridq.tflite.convert import tflite

if TYPE_CHECKING:
    from hybridq.tracking import Store

BUILD, SOURCES, BOARD = "build.json", "src", "board"
TFLITE = "network.tflite"

README = """# {name}

A keyword spotter as C99, made by `hybridq export`: `src/` is what a program needs, `board/` a start-up, a linker script
and a small `main.c` for the STM32L496 (Cortex-M4F). `network.hqn` is the integer network, of digest
{digest}.

```c
#include "hybridq.h"

hybridq_init();
if (hybridq_push_audio(samples, count) > 0) {{          /* int16, {rate} Hz, mono, any count */
    int16_t logits[HYBRIDQ_CLASSES];
    const char *word = hybridq_labels[hybridq_classify(logits)];
}}
```

Build it with gcc, here for the board:

```sh
arm-none-eabi-gcc -std=c99 -mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -O2 -ffp-contract=off \\
  -ffreestanding -ffunction-sections -fdata-sections -Isrc -Iboard src/*.c board/*.c \\
  -nostdlib -Wl,-T,board/stm32l496.ld -Wl,--gc-sections -o image.elf
```

or let `hybridq verify` of this folder build it, run it in an emulator, and compare every logit with the integer
network. Keep `-ffp-contract=off`: with it the front end gives the same bits everywhere. The tensors take
{arena:,} bytes of static memory, the weights and tables of the layers {constants:,} bytes of flash;
`build.json` says where they go.
"""


def export(run_or_artefact: str, folder: Path, store: Store | None = None, with_tflite: bool = False) -> dict[str, Any]:
    """Write a trained network, a run, a model's folder or an .hqn file, as C; returns what build.json says.

    with_tflite: as a `.tflite` file too.

    Raises UserError where the network has no form in integers, or no front end.
    """
    found = find_trained(run_or_artefact, store)
    if found.integers is None:
        raise UserError(found.lacking or f"{found.name} is not quantized: nothing to export")
    network = found.integers
    check(network)
    device = on_device(network)
    end, normalisation, _ = chain_of(network)
    end = replace(end, frames=device.input_shape[1])
    planned = plan(device)
    texts = emit(device, planned) | front_end.sources(end, normalisation, network.input_fraction)
    build = _planned(network, planned) | _origin(found)
    lite = tflite(network) if with_tflite else None
    about = {
        "name": network.description.name or "network",
        "digest": build["digest"],
        "rate": end.sample_rate,
        "arena": planned.arena_bytes,
        "constants": sum(layer["constants_bytes"] for layer in build["layers"]),
    }
    try:
        _write(folder, texts, kernel_files(device, planned))
        save_network(network, folder / NETWORK)
        (folder / BUILD).write_text(json.dumps(build, indent=1) + "\n")
        (folder / "README.md").write_text(README.format(**about))
        (folder / TFLITE).unlink(missing_ok=True)
        if lite:
            (folder / TFLITE).write_bytes(lite)
    except OSError as error:
        raise NotWritable(folder, error) from error
    return build


def macc_of(layer: Layer) -> int:
    """Multiplications of a layer, those with padding included; of an online network those of a frame."""
    if isinstance(layer, Memory):
        return layer.shape[-1] // layer.order * layer.matrix.size
    if not isinstance(layer, Weighted):
        return 0
    return int(np.prod(layer.shape[:-1], dtype=np.int64)) * layer.weights.size


def origin(folder: Path) -> dict[str, Any]:
    """What an exported folder says of the network: `run`, its id, and `estimate`, the memory report; where known."""
    try:
        build = json.loads((folder / BUILD).read_text())
        return {key: build[key] for key in ("run", "estimate") if key in build}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder / BUILD}: not what `hybridq export` wrote ({error})") from None


def _origin(found: Trained) -> dict[str, Any]:
    """The same of a trained network; the report is of its layers in 8 bits where the recipe left them in float."""
    if found.bundle is None:
        return origin(Path(found.name)) if Path(found.name).is_dir() else {}
    recipe = found.bundle.recipe
    plan = PrecisionPlan((*EVERYTHING.rules, *PrecisionPlan.from_data(recipe.get("precision", {})).rules))
    totals = profile(found.bundle.folder / MODEL, recipe["target"], plan, OWN).totals
    estimate = {"flash_bytes": totals.flash_bytes, "ram_bytes": totals.ram_bytes, "macc": totals.macc}
    return {"estimate": estimate} | ({"run": found.run} if found.run else {})


def _write(folder: Path, texts: dict[str, str], kernels: list[str]) -> None:
    """The two folders of C; what was in them before goes."""
    for name in (SOURCES, BOARD):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    own = [toolchain.SOURCES / name for name in kernels]
    for file in (*own, *sorted(front_end.SOURCES.glob("*.[ch]"))):
        shutil.copyfile(file, folder / SOURCES / file.name)
    for name, text in texts.items():
        (folder / SOURCES / name).write_text(text)
    for file in (*sorted(toolchain.BOARD.iterdir()), front_end.SOURCES / "bench" / "main.c"):
        shutil.copyfile(file, folder / BOARD / file.name)


def _planned(network: IntegerNetwork, planned: Plan) -> dict[str, Any]:
    """The plan as plain data; stages count from 1."""
    steps = [step for stage in planned.stages for step in stage.steps]
    layers = [step.layer for step in steps if step.layer is not None]
    return {
        "digest": digest(network),
        "arena_bytes": planned.arena_bytes,
        "layers": [
            {
                "name": layer.name,
                "kind": type(layer).__name__,
                "bits": layer.width.bits if isinstance(layer, Weighted) else None,
                "macc": macc_of(layer),
                "constants_bytes": constants_bytes(layer),
            }
            for layer in layers
        ],
        "stages": [[step.name for step in stage.steps] for stage in planned.stages],
        "arena": [
            {
                "what": one.name,
                "offset": one.offset,
                "bytes": one.bytes,
                "stages": [one.first + 1, one.last + 1],
                **({"rows": one.rows, "rows_kept": one.kept} if isinstance(one, Map) else {}),
            }
            for one in planned.buffers
        ],
    }
