"""The size of a network as papers of few-bit networks print it: parameters times their bits, in kbit (1000 bits).

So the LMU paper counts (Blouw et al., arXiv 2009.04465), without pruned weights. What the parameters are is not said
there; here they are what is learned, weights and biases, all with the bits of the layer's weights: a batch norm that
is folded is a bias. The fixed matrices of linear memories are not learned. An image takes more: biases of 32 bits,
scales, pruned weights.
"""

from __future__ import annotations

from typing import Any

from hybridq.graph.reader import read_graph
from hybridq.precision import PrecisionPlan
from hybridq.profiler.count.memory import parameters
from hybridq.profiler.count.merge import merge, precision_of


def kbits(model: Any, plan: PrecisionPlan, sparsity: float = 0.0) -> float:
    """Kbit of a Keras model, a model file or a Graph; `sparsity`: the share of each kernel, 0 to 1, that is pruned."""
    bits = 0
    for step in merge(read_graph(model)):
        kernel = step.operator.kernel
        if kernel:
            kept = parameters(step) - round(sparsity * kernel)
            bits += kept * precision_of(step.operator, plan).weights.bits
    return bits / 1000
