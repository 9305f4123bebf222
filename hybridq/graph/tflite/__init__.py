""".tflite files as operators.

flatbuffer.py  the form of the file, read with every offset checked
file.py        its tensors and operators, as data
call.py        one operator with what it reads
layers.py      what it is in the words of a Keras layer; weighted.py: operators with weights; moves.py: those that
               move values, and states
reader.py      the file as operators
arrays.py      the numbers of its constants, and what its integers stand for
"""
