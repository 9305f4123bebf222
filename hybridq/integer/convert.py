"""From a trained Keras network to the integer network that computes the same.

The network must be on the grids of 8 bits that a plan with `outputs: 8-bit` gives it; `on_grids` puts a network that
was trained without them onto grids, which may cost accuracy.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybridq.errors import UserError
from hybridq.graph.kinds import Form
from hybridq.graph.operators import layer_of
from hybridq.graph.reader import read_graph
from hybridq.integer.description import Description
from hybridq.integer.figures import chains_of
from hybridq.integer.fusion import Chain
from hybridq.integer.lowering import finest_grid, integer_network, sums_of
from hybridq.integer.map_lowering import slopes_of
from hybridq.integer.maps import PReLU
from hybridq.integer.network import INT8, Affine, IntegerNetwork, Weighted
from hybridq.integer.weights import weights_of
from hybridq.precision import PrecisionPlan
from hybridq.quantization.functional import functional
from hybridq.quantization.model import calibrated, is_grid, quantize
from hybridq.quantization.steps import GRID, NORM, stored

if TYPE_CHECKING:
    import keras

EVERYTHING = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})
log = logging.getLogger("hybridq")


def convert(model: keras.Model, description: Description, inputs: NDArray[np.float32] | None = None) -> IntegerNetwork:
    """The integer network of a trained one. Raises UserError naming the layer that has no form in integers.

    `inputs`: some hundred (n, *shape of the input) to calibrate on, for a network that was not trained on grids of 8
    bits, or only here and there.
    """
    model = functional(model)
    if inputs is not None and stored(read_graph(model)):
        log.warning("the network was not trained on grids of 8 bits: its accuracy as integers may be lower")
        model = on_grids(model, inputs)
    return integer_network(model, description)


def on_grids(model: keras.Model, inputs: NDArray[np.float32]) -> keras.Model:
    """A network with 8-bit weights where it has float ones, and its tensors on grids calibrated on the inputs.

    Raises UserError where its plan gives some outputs fewer bits.
    """
    narrow = [layer.name for layer in model.layers if type(layer).__name__ == "QActivation" and not is_grid(layer)]
    if narrow:
        raise UserError(f"{narrow[0]}: its results have fewer than 8 bits; only 8-bit outputs can be converted")
    gridded = quantize(model, EVERYTHING, calibrated(model, EVERYTHING, inputs))
    settle(gridded)
    return gridded


def settle(model: keras.Model) -> None:
    """Round the biases of a network on grids to those of its integer network, which are whole steps of the sums.

    They move by no more than half of such a step. A batch norm behind a nonlinearity gets the scale and the offset that
    it has in integers. A grid finer than the sums that it is to hold gets a larger step. From then on the two networks
    compute the same but for the rounding of float32. Raises UserError where there is no integer network.
    """
    _coarsen(model)
    chains = {chain.name: chain for chain in chains_of(model)}
    for layer in integer_network(model).layers:
        chain = chains[layer.name]
        if isinstance(layer, PReLU):
            holder = model.get_layer(layer_of(layer.name))
            alpha, (_, fraction) = holder.alpha, slopes_of(holder, 1)
            alpha.assign(np.clip(np.floor(np.asarray(alpha, np.float64) * 2.0**fraction + 0.5), *INT8) * 2.0**-fraction)
        if not isinstance(layer, Weighted):
            continue
        if layer.affine is not None:
            _settle_norm(chain, layer.affine)
        if chain.operator.facts.form is not Form.WEIGHTS:
            continue
        stored = next((part.value for part in chain.parts if part.letter == GRID), layer.fraction)
        step = layer.out.multiplier * 2.0 ** (-32 - layer.out.shift - stored)
        added = layer.bias * step
        norm = chain.parts[0] if chain.parts and chain.parts[0].letter == NORM else None
        holder = model.get_layer(layer_of(layer.name))
        before = np.asarray(weights_of(holder, chain.operator).bias)
        if norm is not None:
            before = before * norm.value[0] + norm.value[1]
        change = np.where(np.abs(added - before) <= step, added - before, 0)  # else the channel's bias was cut
        if norm is not None and norm.layer.center:
            norm.layer.beta.assign_add(change.astype(np.float32))
        elif holder.use_bias and getattr(holder, "bias_quantizer_internal", None) is None:
            holder.bias.assign_add((change if norm is None else change / norm.value[0]).astype(np.float32))
    model.make_predict_function(force=True)


def _settle_norm(chain: Chain, by: Affine) -> None:
    """Give the batch norm at the end of a chain the scale and the offset of its integers."""
    before, norm, after = chain.parts[-3:]
    layer, (scale, _) = norm.layer, norm.value
    mean, variance = (np.asarray(v, np.float64) for v in (layer.moving_mean, layer.moving_variance))
    if layer.scale:
        scale = by.scale * 2.0 ** (before.value - after.value - by.shift)
        layer.gamma.assign(scale * np.sqrt(variance + layer.epsilon))
    if layer.center:
        layer.beta.assign(by.offset * 2.0 ** (-after.value - by.shift) + mean * scale)


def _coarsen(model: keras.Model) -> None:
    """Give each grid that is finer than what its layer's sums can be requantized to the finest step that can be had."""
    chains = chains_of(model)
    for number in range(1, len(chains)):
        chain = chains[number]
        grid = next((part for part in chain.parts if part.letter == GRID and part.layer is not None), None)
        sums = sums_of(chain, model)
        if grid is None or sums is None:
            continue
        finest = finest_grid(sums)
        if grid.value > finest:
            log.info("%s: steps of 2**%d, as its sums are no finer", grid.layer.name, -finest)
            grid.layer.activation.fraction = finest
            chains = chains_of(model)  # the layers behind it read other steps now
