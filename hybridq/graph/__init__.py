"""A network as a list of operators, read from an object or a file.

operators.py    the list and its operators
kinds.py        the kinds of layers and the nonlinearities that are known, a row each
instead.py      what to take in place of kinds that have no form in integers
inputs.py       shapes of inputs that a file leaves open
reader.py       reads a Keras object or a file of any form
keras/          what a saved Keras or QKeras model says
tflite/         what a .tflite file says
saved_model.py  a SavedModel, through TensorFlow's converter in a process of its own
"""
