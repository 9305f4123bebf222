"""Keras and QKeras models as operators, from the plain data that they are saved as.

file.py    the description in a .keras or .h5 file, as data
wiring.py  which layer reads which
reader.py  both as operators, models inside the model taken apart
arrays.py  how many numbers the layers without a rule store
larq.py    how the tensors of a network of Larq are stored
layers/    what each kind of layer is: its shapes, weights and formats
"""
