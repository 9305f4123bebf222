"""What training asks of data, and what data sets share.

task.py      what training asks: examples in splits, their classes, epochs of training batches
prefetch.py  the next thing made in a thread while the one before it is used
cache.py     arrays kept in files, with a checksum
"""
