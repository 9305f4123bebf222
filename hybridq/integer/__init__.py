"""The network of integers: data, what it computes, its file, and the way to it from a trained Keras network.

network.py      the integer network as data; description.py: what it is of, besides what it computes
checks.py       whether it holds together; bounds.py: how far its sums can go
arithmetic.py   what it computes: the one definition, in numpy, that all C code must equal to the last bit
online.py       the same, frame by frame, where there are memories
artefact.py     the file that it travels in
convert.py      from a trained Keras network: fusion.py what runs as one layer, skeleton.py these layers without and
                lowering.py with their values, weights.py their weights, scaling.py their multipliers and shifts
"""
