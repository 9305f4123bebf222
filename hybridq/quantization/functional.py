"""A Keras model as people have it, made the flat functional model that a plan can be put onto.

A sequential model, models inside the model, and an input without a name become plain calls of named layers; a layer
`conv` of a model `backbone` inside is then `backbone_conv`. Quantizers of QKeras on tensors between layers, of a fixed
power-of-two step, become the Grid that stores the same numbers in int8 (`grid_of`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hybridq.backend.tensorflow import load_qkeras
from hybridq.errors import UserError
from hybridq.graph.instead import no_lambda
from hybridq.graph.reader import read_graph
from hybridq.quantization.model import give_weights, named_inputs
from hybridq.quantization.own_quantizers import OwnGrid, grid_of

if TYPE_CHECKING:
    import keras


def functional(model: keras.Model) -> keras.Model:
    """A copy of the model, weights included, as a functional model of layers alone; the model itself where it is one.

    Raises UserError for a model that is a class of its own, has a lambda in it, or was never built.
    """
    read_graph(model)  # refuses in plain words what is no list of layers, or has no shape
    load_qkeras()
    _check_code(model)
    if _is_flat(model):
        return model
    import keras

    inputs = named_inputs(model)
    return keras.Model(inputs, _Flattening().run(model, inputs, ""), name=model.name)


def _check_code(model: keras.Model) -> None:
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _check_code(layer)
        elif isinstance(layer, keras.layers.Lambda) and getattr(layer.function, "__name__", "") == "<lambda>":
            raise UserError(no_lambda(layer.name))


def _is_flat(model: keras.Model) -> bool:
    import keras

    inner = any(isinstance(layer, keras.Model) for layer in model.layers)
    own = any(_own_grid(layer) or _reads_signs(layer) for layer in model.layers)
    return not (isinstance(model, keras.Sequential) or inner or own)


def _reads_signs(layer: Any) -> bool:
    """Whether it is a layer of Larq that reads the signs of its input."""
    return getattr(layer, "reads_signs", False) is True


def _own_grid(layer: Any) -> OwnGrid | None:
    return grid_of(getattr(layer, "activation", None), layer.name)


class _Flattening:
    """Calls the layers of a model, and of the models inside it, one by one; a layer that is shared stays shared."""

    def __init__(self) -> None:
        self.copies: dict[int, Callable[..., Any]] = {}
        self.names: set[str] = set()

    def run(self, model: Any, inputs: Any, prefix: str) -> Any:
        """What the model makes of the tensors."""
        import keras

        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                inputs = self.call(layer, prefix)(inputs)
            return inputs
        return model._run_through_graph(inputs, operation_fn=lambda one: self.call(one, prefix))

    def call(self, operation: Any, prefix: str) -> Callable[..., Any]:
        """A function that does what the operation does."""
        import keras

        if isinstance(operation, keras.layers.InputLayer):
            return lambda tensor, **options: tensor
        if isinstance(operation, keras.Model):
            return lambda tensors, **options: self.run(operation, tensors, f"{prefix}{operation.name}_")
        if not isinstance(operation, keras.Layer):
            return operation  # type: ignore[no-any-return]  # one of keras.ops
        if id(operation) not in self.copies:
            self.copies[id(operation)] = self.copy(operation, prefix)
        return self.copies[id(operation)]

    def copy(self, layer: Any, prefix: str) -> Callable[..., Any]:
        """A layer of the same settings and weights, with what its activation rounds to behind it."""
        import keras

        from hybridq.quantization.larq import sign

        name, own = prefix + layer.name, _own_grid(layer)
        if name in self.names:
            raise UserError(f"two layers of the model become {name!r} when the models inside it are taken apart")
        self.names.add(name)
        behind: list[Any] = []
        is_quantizer = own is not None and type(layer).__name__ == "QActivation"
        if own:
            if own.function is not None:
                behind.append(_named(own.function, name if is_quantizer else f"{name}_function"))
            alone = is_quantizer and not behind
            behind.append(load_qkeras().QActivation(own.grid, name=name if alone else f"{name}_outputs"))
        if is_quantizer:
            return lambda tensor, **options: _through(behind, tensor)
        before: list[Any] = []
        if hasattr(layer, "reads_signs"):
            made = layer.plain(name)
            if layer.reads_signs:
                before = [keras.layers.Activation(sign, name=f"{name}_signs")]
        else:
            config = layer.get_config() | {"name": name} | ({"activation": "linear"} if own else {})
            made = layer.__class__.from_config(config)
        made.name = name  # QKeras forgets that of a recurrent layer
        first = True

        def called(*tensors: Any, **options: Any) -> Any:
            nonlocal first
            result = made(*(_through(before, one) for one in tensors), **options)
            if first and layer.weights:
                give_weights(made, layer.get_weights())
            first = False
            return _through(behind, result)

        return called


def _named(layer: Any, name: str) -> Any:
    return layer.__class__.from_config(layer.get_config() | {"name": name})


def _through(layers: list[Any], tensor: Any) -> Any:
    for layer in layers:
        tensor = layer(tensor)
    return tensor
