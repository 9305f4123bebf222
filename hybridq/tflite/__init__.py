"""The integer network as a .tflite file.

convert.py   its layers as operators; numbers.py: their scales and biases
writer.py    the file
runtimes.py  what is installed here that runs it
"""
