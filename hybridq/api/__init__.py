"""The Python interface: what `import hybridq` offers.

quantizing.py  a plan onto a Keras model of the caller's
network.py     the integer network of a model: converted, measured, kept, exported, verified
search.py      the plan of least loss within limits, by the caller's own training
"""
