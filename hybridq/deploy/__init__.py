"""From a trained network to an image for a microcontroller.

network.py      the integer network as data, and the file that it travels in
arithmetic.py   what it computes: the one definition, in numpy, that all C code must equal to the last bit
packing.py      weights as they lie in flash
"""
