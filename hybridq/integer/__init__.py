"""The network of integers: data, what it computes, its file, and the way to it from a trained Keras network.

network.py      the integer network as data, and its layers; maps.py: those that pool, join and move; scaled.py: those
                of tensors of any scale and zero point
description.py  what it is of, besides what it computes
checks.py       whether it holds together; map_checks.py of maps, scaled_checks.py; bounds.py: how far its sums can go
arithmetic.py   what it computes: the one definition, in numpy, that all C code must equal to the last bit;
                map_arithmetic.py of maps, scaled_arithmetic.py
answers.py      what its outputs are in real numbers
online.py       the same, frame by frame, where there are memories
artefact.py     the file that it travels in
convert.py      from a trained Keras network: fusion.py what runs as one layer, figures.py with the figures of its Keras
                layers, skeleton.py layers of the integer network without and lowering.py with their values
                (map_skeleton.py and map_lowering.py of maps), weights.py their weights, scaling.py their multipliers
                and shifts
"""
