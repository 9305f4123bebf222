"""A user's Keras model from its file. Nothing in a file is run: a layer that is code is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridq.backend.tensorflow import load_qkeras
from hybridq.errors import UserError
from hybridq.graph.instead import no_lambda
from hybridq.graph.keras.file import layers_config, short
from hybridq.paths import scratch
from hybridq.quantization.keras_2 import modern, restored, rewritten

if TYPE_CHECKING:
    import keras

# What a model may be made of, by its package; and the classes that are a program of the file's own.
PACKAGES = ("keras", "qkeras", "hybridq", "builtins")
LAMBDA = "Lambda"
CODE = ("__lambda__", "TFSMLayer")  # the last runs a program that lies elsewhere
OPERATIONS = ("TFOpLambda", "SlicingOpLambda")  # what Keras 2 makes of x + 1 and x[:, 1:]
INSTEAD = {
    ".onnx": "an ONNX file holds no Keras layers to quantize: build the network in Keras and copy its weights",
    ".pt": "a PyTorch file holds weights and code: build the network in Keras and copy its weights",
    ".pth": "a PyTorch file holds weights and code: build the network in Keras and copy its weights",
    ".tflite": "a .tflite file holds no Keras layers to quantize: an int8 one is ready for `hybridq export`",
}


def load_model(path: str | Path) -> keras.Model:
    """The model in a `.keras`, `.h5` or `.hdf5` file, or a SavedModel folder of Keras 2, without its optimizer.

    Raises UserError for what is none of these, holds code, or that Keras cannot build.
    """
    place = Path(path)
    if place.suffix.lower() in INSTEAD:
        raise UserError(f"{place}: {INSTEAD[place.suffix.lower()]}")
    saved = layers_config(place)
    load_qkeras()  # registers the quantized layers
    import keras

    import hybridq.models.linear_memory  # (and the layers of our own)
    import hybridq.models.projected_lstm
    import hybridq.quantization.quantizers  # noqa: F401  (and the quantizers of our own)
    from hybridq.quantization.larq import LAYERS, is_larq, translated

    larq = is_larq(saved)
    try:
        config = modern(saved)
        check_classes(config, place, ("larq",) if larq else ())
        config = translated(config, place) if larq else config
        classes = LAYERS if larq else {}
        if place.is_dir():
            return restored(place, config, classes)
        with scratch() as folder:
            file = place if config == saved else rewritten(place, config, folder)
            return keras.models.load_model(file, custom_objects=classes, compile=False)
    except UserError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # whatever Keras trips over
        _, _, reason = str(error).rpartition("Exception encountered: ")  # behind the description of a layer
        reason = short(reason.strip().partition("\n")[0] or type(error).__name__)
        raise UserError(f"{place}: Keras cannot build the model ({reason})") from None


def check_classes(saved: Any, path: Path, more: tuple[str, ...] = ()) -> None:
    """Raise UserError for a layer that is code, or anything of a class that is not known: no code of a file is run.

    saved: what the file says of the model; more: packages besides those that are known.
    """
    left = [(saved, "")]
    while left:
        part, name = left.pop()
        if isinstance(part, dict) and "class_name" in part:
            kind, module, config = part["class_name"], part.get("module"), part.get("config")
            name = str(config.get("name") or name) if isinstance(config, dict) else name
            if kind in OPERATIONS:
                instead = "use a layer of Keras, as Add or Rescaling"
                raise UserError(short(f"{path}: '{name}' is an operation of TensorFlow and no layer: {instead}"))
            foreign = module is not None and str(module).partition(".")[0] not in (*PACKAGES, *more)
            if kind == LAMBDA and not foreign:
                raise UserError(short(f"{path}: {no_lambda(name)}"))
            if kind in CODE or foreign:
                what = f"{module}.{config if kind == 'function' else kind}" if foreign else str(kind).strip("_")
                where = f"{path}: layer '{name}'" if name else f"{path}: it"
                raise UserError(short(f"{where} holds code, {what}, and hybridq runs none that comes with a model"))
        if isinstance(part, dict | list):
            left += [(inside, name) for inside in (part.values() if isinstance(part, dict) else part)]
