"""The stages of a plan as C. A layer by itself is a loop over its rows.

Several layers are a loop of turns, depth first: each turn makes one row, of the last layer whose inputs have the rows
that it needs and whose result is wanted; `stage_costs.rows_kept` plays the same turns. Counters are unsigned, so that
where numbers are compared none is subtracted: it is added on the other side.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

from hybridq.image.memory_plan import Stage
from hybridq.image.outputs import Output
from hybridq.image.steps import Step
from hybridq.integer.network import Dense

Ids = Mapping[str, str]  # of layers, by their names
Outputs = Mapping[str, Output]  # what leaves the network, by the names of the layers
STAGE_C = Template("""
/* $first to $last, depth first: each turn runs the last layer whose inputs have the rows
 * that it needs. The counters are the runs that are done. */
static void stage_$number($parameters)
{
$counters    while ($unfinished) {
        $branches
    }
}
""")
BRANCH_C = Template("""\
if ($conditions) {
            ${layer}_run(arena, $done++$output);
        }""")


def stage_calls(number: int, stage: Stage, ids: Ids, outputs: Outputs) -> list[str]:
    """The lines that run a stage, of the number that `stage_function` was given."""
    step = stage.steps[0]
    filled = "".join(f", {outputs[one.name].name}" for one in stage.steps if one.leaves)
    if len(stage.steps) > 1:
        return [f"stage_{number}(arena{filled});"]
    if isinstance(step.layer, Dense):
        return [f"{ids[step.name]}_run(arena{filled});"]
    call = f"{ids[step.name]}_run(arena, row{filled});"
    return [f"for (uint32_t row = 0; row < {step.runs}; row++) {{", f"    {call}", "}"]


def stage_function(number: int, stage: Stage, ids: Ids, outputs: Outputs) -> str:
    """The function of a stage of several layers; nothing for one of a single layer."""
    if len(stage.steps) == 1:
        return ""
    branches = (
        BRANCH_C.substitute(
            conditions=" && ".join(_conditions(stage, step, ids)),
            layer=ids[step.name],
            done=_done(step, ids),
            output=f", {outputs[step.name].name}" if step.leaves else "",
        )
        for step in reversed(stage.steps)
    )
    return STAGE_C.substitute(
        first=ids[stage.steps[0].name],
        last=ids[stage.steps[-1].name],
        number=number,
        parameters=", ".join(["int8_t *arena", *(outputs[one.name].pointer for one in stage.steps if one.leaves)]),
        counters="".join(f"    uint32_t {_done(step, ids)} = 0;\n" for step in stage.steps),
        unfinished=" || ".join(f"{_done(step, ids)} < {step.runs}" for step in stage.outputs),
        branches=" else ".join(branches),
    )


def _conditions(stage: Stage, step: Step, ids: Ids) -> list[str]:
    """That the layer is not done, that its inputs are ready, and that what it makes is wanted."""
    inside = {other.name: other for other in stage.steps}
    conditions = [f"{_done(step, ids)} < {step.runs}"]
    conditions += [_ready(step, inside[name], ids) for name in dict.fromkeys(step.inputs) if name in inside]
    readers = [other for other in stage.steps if step.name in other.inputs]
    if step not in stage.outputs and (len(readers) > 1 or any(len(set(other.inputs)) > 1 for other in readers)):
        wanted = [f"({_done(one, ids)} < {one.runs} && {_wants(one, step, ids)})" for one in readers]
        conditions.append(wanted[0] if len(wanted) == 1 else f"({' || '.join(wanted)})")
    return conditions


def _ready(step: Step, source: Step, ids: Ids) -> str:
    """Whether a layer's input has the rows that its next run needs, as steps.Step.needs says."""
    ahead, made = step.window - step.before, _done(source, ids)
    enough = f"{_sum(made, -ahead)} >= {_sum(_first_row(step, ids), ahead)}"
    if (step.runs - 1) // step.repeats * step.stride - step.before + step.window > source.rows:
        return f"({made} == {source.rows} || {enough})"
    return enough


def _wants(reader: Step, step: Step, ids: Ids) -> str:
    """Whether the next run of a layer needs a row of its input that is not there yet."""
    ahead = reader.window - reader.before
    return f"{_sum(_done(step, ids), -ahead)} < {_sum(_first_row(reader, ids), ahead)}"


def _first_row(step: Step, ids: Ids) -> str:
    """The first row that the next run reads, but for the padding before it."""
    if step.stride == 0:
        return "0"
    done = _done(step, ids)
    return _times(done if step.repeats == 1 else f"{done} / {step.repeats}", step.stride)


def _done(step: Step, ids: Ids) -> str:
    """The counter of a layer's runs."""
    return f"{ids[step.name]}_done"


def _sum(text: str, number: int) -> str:
    return f"{text} + {number}" if number > 0 else text


def _times(text: str, factor: int) -> str:
    return text if factor == 1 else f"{factor} * {text}"
