"""What training asks of data, and data of any kind but sound.

task.py             what training asks: examples in splits, what is to be learnt, epochs of training examples
settings.py         the section `data` of a recipe in its forms: arrays, images, a Python function
samples.py          examples from arrays, which is what all three become; checks.py: whether they can be trained on
lazy_inputs.py      inputs of validation and test that are read in parts
arrays.py           arrays of a file, mapped; given.py: those that a command is given
images.py           pictures in class folders
splits.py           splits drawn from a seed, by group or class
standardisation.py  what a network reads of numbers
augmentation.py     random changes to training inputs, by Keras' layers
prefetch.py         the next thing made in a thread while the one before it is used
cache.py            arrays kept in files, with a checksum
"""
