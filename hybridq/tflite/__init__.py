"""The integer network as a .tflite file, and back.

convert.py   its layers as operators, maps.py those that pool, join and move; tensors.py: the parts that these are made
             of; numbers.py: their scales and biases
writer.py    the file
runtimes.py  what is installed here that runs it
reading/     an int8 file as an integer network
"""
