"""Keras and QKeras models as operators, from the plain data that they are saved as."""
