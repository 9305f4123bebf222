"""From a trained network to an image for a microcontroller.

network.py      the integer network as data; checks.py: whether it holds together
arithmetic.py   what it computes: the one definition, in numpy, that all C code must equal to the last bit
convert.py      from a trained Keras network to the integer one; artefact.py: the file that it travels in
packing.py      weights as they lie in flash, for the kernels in c/
front_end.py    the constants of the front end in c/front_end
plan.py         in what order the layers run, and where their tensors lie in one static arena
emit.py         the network as C, its constants by constants.py; export.py: the folder with all that a program needs
toolchain.py    compilers and what the linker made; emulator.py: runs an image and counts
verify.py       builds an exported folder and compares it with the definition, on the machines of machines.py
verification.py what it found, beside the estimates; recording.py: logged to the run that the network is of
"""
