"""Where tensors lie in memory, for the memory report and for an image.

planners.py  tensors with their lifetimes laid into one arena
"""
