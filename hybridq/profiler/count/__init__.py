"""What steps there are, their multiply-accumulates, flash and RAM.

merge.py    which operators run as one step
macc.py     its multiply-accumulates
memory.py   flash: the weights, packed to their bits
arena.py    RAM: the tensors in one arena; lifetimes.py: how long each is needed; overlap.py: which are written over;
            scratch.py: what steps hold besides
"""
