"""A precision plan onto a Keras model, and onto a graph of operators.

functional.py       a model as people have it, made the flat functional model that a plan is put onto
load_model.py       a model from its file or folder, of which nothing is run
keras_2.py          saved by Keras 2; larq.py: saved with Larq
own_quantizers.py   QKeras' own quantizers of tensors, as grids
model.py            onto a Keras model, by QKeras; the grids of 8 bits between layers, and their calibration
narrow.py           a quantized model with the weights of some layers narrower
graph.py            onto a graph, without TensorFlow
decomposition.py    layers of Keras that are several in integers
quantizers.py       the quantizers that train numbers of each format
steps.py            what runs as one step in integers, and so which tensors are stored
"""
