""".tflite files as operators.

file.py    the tables of a file, as data
call.py    one operator with what it reads
layers.py  what it is in the words of a Keras layer
reader.py  the file as operators
"""
