"""What `hybridq export` writes: the integer network, its C with all that it needs, and how to build it.

network.hqn   the integer network            build.json   what was planned: sizes, stages, the arena
src/          the C to take into a program   board/       start-up, linker script and a small main
README.md     how to build and call it
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridq.dataset import Normalisation
from hybridq.deploy import front_end, toolchain
from hybridq.deploy.artefact import SUFFIX, digest, load_network, save_network
from hybridq.deploy.checks import check
from hybridq.deploy.constants import Weighted, constants_bytes
from hybridq.deploy.emit import emit, kernel_files
from hybridq.deploy.network import IntegerNetwork, Layer
from hybridq.deploy.plan import Map, Plan, plan
from hybridq.errors import NotWritable, UserError
from hybridq.features import FrontEnd

if TYPE_CHECKING:
    from hybridq.tracking import Store

NETWORK, BUILD, SOURCES, BOARD = f"network{SUFFIX}", "build.json", "src", "board"

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


def export(run_or_artefact: str, folder: Path, store: Store | None = None) -> dict[str, Any]:
    """Write a trained network, a run, a model's folder or an .hqn file, as C; returns what build.json says.

    Raises UserError where the network has no form in integers, or no front end.
    """
    network = _network(run_or_artefact, store)
    check(network)
    end, normalisation, _ = chain_of(network)
    planned = plan(network)
    texts = emit(network, planned) | front_end.sources(end, normalisation, network.input_fraction)
    build = _planned(network, planned)
    about = {
        "name": network.about.get("name") or "network",
        "digest": build["digest"],
        "rate": end.sample_rate,
        "arena": planned.arena_bytes,
        "constants": sum(layer["constants_bytes"] for layer in build["layers"]),
    }
    try:
        _write(folder, texts, kernel_files(network, planned))
        save_network(network, folder / NETWORK)
        (folder / BUILD).write_text(json.dumps(build, indent=1) + "\n")
        (folder / "README.md").write_text(README.format(**about))
    except OSError as error:
        raise NotWritable(folder, error) from error
    return build


def chain_of(network: IntegerNetwork) -> tuple[FrontEnd, Normalisation, tuple[str, ...]]:
    """What an integer network says of its sound: the front end, the normalisation, the labels; UserError without."""
    try:
        end = FrontEnd(**network.about["front_end"])
        normalisation = Normalisation(**{key: tuple(one) for key, one in network.about["normalisation"].items()})
        labels = tuple(map(str, network.about["labels"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the network does not say what it hears ({error!r}): no keyword spotter") from None
    if network.input_shape != (*end.shape, 1):
        raise UserError(f"the network reads {network.input_shape}, its front end makes {end.shape}")
    if len(labels) != network.layers[-1].shape[-1]:
        raise UserError(f"the network has {network.layers[-1].shape[-1]} outputs and {len(labels)} labels")
    return end, normalisation, labels


def macc_of(layer: Layer) -> int:
    """Multiplications of a layer, those with padding included."""
    if not isinstance(layer, Weighted):
        return 0
    return int(np.prod(layer.shape[:-1], dtype=np.int64)) * layer.weights.size


def _network(run_or_artefact: str, store: Store | None) -> IntegerNetwork:
    path = Path(run_or_artefact)
    if path.suffix == SUFFIX:
        return load_network(path)
    if (path / NETWORK).is_file():
        return load_network(path / NETWORK)
    from hybridq.deploy.convert import convert
    from hybridq.experiment import find_bundle

    return convert(find_bundle(run_or_artefact, store)[0])


def _write(folder: Path, texts: dict[str, str], kernels: list[str]) -> None:
    """The two folders of C; what was in them before goes."""
    for name in (SOURCES, BOARD):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    own = [toolchain.SOURCES / name for name in kernels]
    for file in (*own, *sorted(toolchain.RUNTIME.iterdir()), *sorted(front_end.SOURCES.iterdir())):
        shutil.copyfile(file, folder / SOURCES / file.name)
    for name, text in texts.items():
        (folder / SOURCES / name).write_text(text)
    for file in (*sorted(toolchain.BOARD.iterdir()), toolchain.BENCH):
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
