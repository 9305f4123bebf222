"""What a network would cost on a microcontroller: flash, RAM, multiply-accumulates, layer by layer."""

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
