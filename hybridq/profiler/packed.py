"""What an image of our own takes: the flash and the arena of what `hybridq export` would write, before it is trained.

The layers, their sizes and the arena are those of `hybridq.integer`, of the outline of the integer network; the sizes
of a trained one, where there is one, are of its weights without those that an image leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hybridq.arena.planners import Lifetime
from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.graph.kinds import Form
from hybridq.graph.operators import Operator
from hybridq.graph.reader import Graph
from hybridq.image.constants import constants_bytes, states_bytes
from hybridq.image.memory_plan import Plan, plan
from hybridq.image.packing import stored_format
from hybridq.integer.fusion import Chain, structure
from hybridq.integer.network import IntegerNetwork, Weighted
from hybridq.integer.online import on_device
from hybridq.integer.skeleton import outline
from hybridq.precision import LayerPrecision, PrecisionPlan
from hybridq.profiler.count.arena import Ram
from hybridq.profiler.count.merge import Step
from hybridq.quantization.graph import quantized_graph
from hybridq.quantization.steps import NORM
from hybridq.tflite.reading import read_tflite

PLANNER = "depth first"
AS_IT_IS = "an image takes a .tflite file as it is; `hybridq quantize` makes the Keras model that it is of narrower"
MOST_ROWS = 1_024  # of a tensor; beyond them a file is damaged or hostile, and planning takes minutes


@dataclass(frozen=True)
class Image:
    """The integer network on a device, an outline or trained, and a step for each of its layers."""

    network: IntegerNetwork
    steps: tuple[Step, ...]  # with the precision in which weights are stored

    @property
    def sizes(self) -> tuple[int, ...]:
        """Flash of each step."""
        return tuple(map(constants_bytes, self.network.layers))

    @property
    def stored_wider(self) -> tuple[tuple[str, str, str], ...]:
        """Layers whose weights no kernel takes in their format: name, format, and the wider one they are stored in."""
        weighted = [layer for layer in self.network.layers if isinstance(layer, Weighted)]
        return tuple(
            (layer.name, str(layer.width), str(stored_format(layer)))
            for layer in weighted
            if stored_format(layer) is not layer.width
        )

    def saving(self, name: str, to: Format) -> int:
        """Bytes of flash that a layer saves with weights of that precision."""
        layer = next(one for one in self.network.layers if one.name == name)
        if not isinstance(layer, Weighted):
            return 0
        return constants_bytes(layer) - constants_bytes(replace(layer, width=to))

    def ram(self) -> Ram:
        """The arena, and the states of memories. A tensor is there during whole stages, each the rows of its layers."""
        planned = plan(self.network)
        rows = _rows_of_stages(planned, [layer.name for layer in self.network.layers])
        taken = [
            sum(one.bytes for one in planned.buffers if one.first <= stage <= one.last) for stage in range(len(rows))
        ]
        return Ram(
            activations=planned.arena_bytes + sum(map(states_bytes, self.network.layers)),
            buffers=planned.maps[self.network.input_name].bytes,
            buffers_inside=True,
            peak=self.network.layers[rows[taken.index(max(taken))][0]].name,
            planner=_planner(planned),
            lifetimes=tuple(
                Lifetime(one.name, rows[one.first][0], rows[one.last][-1], one.offset, one.bytes)
                for one in planned.buffers
            ),
        )


def image_of(graph: Graph, plan: PrecisionPlan | None, trained: IntegerNetwork | None = None) -> Image | str:
    """The image of a network under a precision plan, or of `trained`; or why there is none, naming the layer."""
    if graph.file and plan:
        return AS_IT_IS
    try:
        if graph.file:
            network = read_tflite(Path(graph.file))
            image = Image(network, tuple(_steps_of_file(graph, network)))
        else:
            chains = structure(quantized_graph(graph, plan))
            network = on_device(trained or outline(chains))
            image = Image(network, tuple(_steps(chains, network)))
    except UserError as error:
        return str(error).removeprefix(f"{graph.file}: ")
    most, name = max((shape[0] if len(shape) == 3 else 1, name) for name, shape in network.shapes.items())
    if most > MOST_ROWS:
        return f"{name}: {most:,} rows are more than an image is planned for, {MOST_ROWS:,}"
    return image


def _steps(chains: Sequence[Chain], network: IntegerNetwork) -> Iterator[Step]:
    """Of a Keras model: the layers by their chains, of which the input's is the first."""
    for chain, layer in zip(chains[1:], network.layers, strict=True):
        op, parts = chain.operator, chain.parts
        if isinstance(layer, Weighted) and op.kernel:
            own = op.precision or LayerPrecision()
            op = replace(op, precision=replace(own, weights=layer.width.stored))
        folded = [part.operator for part in parts[:1] if part.operator and part.letter == NORM]
        inputs = tuple(source.chain.name for source in chain.inputs)
        yield Step(op, inputs, list(chain.others), folded if op.facts.form is Form.WEIGHTS else [])


def _steps_of_file(graph: Graph, network: IntegerNetwork) -> Iterator[Step]:
    """Of a `.tflite` file: the layers by its operators, but for those that give a tensor another shape."""
    operators = {op.name: op for op in graph.operators}
    for layer in network.layers:
        moved = Operator(layer.name, "Reshape", layer.inputs, (layer.shape,), layer.shape)
        yield Step(operators.get(layer.name, moved), layer.inputs)


def _planner(planned: Plan) -> str:
    """How the arena was planned, with the layers that run in turns, a row at a time."""
    stages = [[step.name for step in stage.steps if step.layer] for stage in planned.stages]
    together = [f"{names[0]} to {names[-1]}" for names in stages if len(names) > 1]
    return f"{PLANNER} ({', '.join(together)} row by row)" if together else PLANNER


def _rows_of_stages(planned: Plan, layers: list[str]) -> list[list[int]]:
    """For each stage the places of its layers; one in which the network's input alone is made counts with the next."""
    rows: list[list[int]] = []
    for stage in reversed(planned.stages):
        places = [layers.index(step.name) for step in stage.steps if step.name in layers]
        rows.insert(0, places or rows[0][:1])
    return rows
