"""A precision plan onto a Keras model, and onto a graph of operators."""
