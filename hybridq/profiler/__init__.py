"""What a network would cost on a microcontroller: flash, RAM, multiply-accumulates, layer by layer.

profiling.py     from a network to its report
accounting.py    how costs are counted: ST's tool, version by version, and an image of our own; one table
count/           what runs as one step; its MACC, its flash, RAM
packed.py        flash and RAM of an image of our own, before it is trained
tflm/            TensorFlow Lite for Microcontrollers: its arena to the byte, and flash
targets.py       the boards; estimates.py: time and energy on them; rates.py: the cycles of stacks by kind of layer
hello_edge.py    size as the paper Hello Edge counts it; closed_forms.py: from a network's settings alone
kbits.py         size as parameters times bits
result.py        what all results share: report.py, the memory report; diff.py, two side by side; suggest.py, what to
                 narrow
render/          a result in words, as a table in every form, as a page
"""

from hybridq.profiler import render
from hybridq.profiler.profiling import profile as profile
from hybridq.profiler.profiling import standard_plans as standard_plans
from hybridq.profiler.report import Profile as Profile
from hybridq.profiler.result import Forms, Result
from hybridq.profiler.targets import TARGETS as TARGETS
from hybridq.profiler.targets import Target as Target
from hybridq.profiler.targets import target as target

# Only here do results and their renderers meet: neither side need import the other for a result to print itself.
Result.forms = Forms(render.text, render.fragment, render.to_json)
