"""What a network would cost on a microcontroller: flash, RAM, multiply-accumulates, layer by layer."""

from hybridq.profiler.report import Profile as Profile
from hybridq.profiler.report import profile as profile
from hybridq.profiler.report import standard_plans as standard_plans
from hybridq.profiler.targets import TARGETS as TARGETS
from hybridq.profiler.targets import Target as Target
from hybridq.profiler.targets import target as target
