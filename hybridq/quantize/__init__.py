"""A precision plan onto a Keras model, and onto a graph of operators.

model.py       onto a Keras model, by QKeras; the grids of 8 bits between layers, and their calibration
graph.py       onto a graph, without TensorFlow
quantizers.py  the quantizers that train numbers of each format
steps.py       what runs as one step in integers, and so which tensors are stored
"""
