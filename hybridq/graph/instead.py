"""What to take in place of a layer that has no form in integers, by its class in Keras."""

from __future__ import annotations

SEQUENCES = "a Conv1D with padding='causal' and dilation, or LinearMemory of this package"
NORMS = "BatchNormalization"
VOLUMES = "the layer of that name for images, 2D, with the depth as channels"
INSTEAD = {
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D"), SEQUENCES),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"), NORMS),
    **dict.fromkeys(
        ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"),
        "convolutions, dilated to see as far, or a gate: Multiply by a sigmoid",
    ),
    **dict.fromkeys(
        (f"{what}3D" for what in ("Conv", "AveragePooling", "MaxPooling", "GlobalAveragePooling", "GlobalMaxPooling")),
        VOLUMES,
    ),
    "AdaptiveAveragePooling1D": "AveragePooling1D with a window of its own, or GlobalAveragePooling1D",
    "AdaptiveAveragePooling2D": "AveragePooling2D with a window of its own, or GlobalAveragePooling2D",
    "AdaptiveMaxPooling1D": "MaxPooling1D with a window of its own, or GlobalMaxPooling1D",
    "AdaptiveMaxPooling2D": "MaxPooling2D with a window of its own, or GlobalMaxPooling2D",
    "Average": "Add: the layer behind it learns the half",
    "Maximum": "a + relu(b - a), of Subtract, ReLU and Add",
    "Minimum": "a - relu(a - b), of Subtract, ReLU and Subtract",
    "Embedding": "one-hot inputs and a Dense layer without bias",
    "TimeDistributed": "the layer inside it: Dense works at each place of a sequence, Conv2D with a window (1, n) too",
    "Resizing": "pictures of that size as inputs, or in the network UpSampling2D (nearest) or AveragePooling2D",
    "Softmax": "sigmoid, or softmax as the last layer alone",
}


def instead_of(kind: str) -> str:
    """What to take in place of a kind of layer, as words behind a message: "; take ..."; "" where nothing is known."""
    return f"; take {INSTEAD[kind]}" if kind in INSTEAD else ""


def no_lambda(name: str) -> str:
    """Why a Lambda of that name is not taken, whether from a file or from memory, and what to do."""
    return (
        f"layer '{name}' is a Lambda, code that hybridq neither runs nor turns into integers; "
        "take layers of Keras, as Activation, Multiply, or Rescaling behind the input"
    )
