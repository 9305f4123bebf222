"""Where tensors lie in memory, for the memory report and for an image.

planners.py  tensors with their lifetimes laid into one arena
choices.py   which of them are written over others, where a plan has the choice
"""
