"""A trained network on a stream of sound: what it hears while listening, and how well that works over a long time.

`rule` decides, `listening` turns sound into answers, `scene` builds long audio with its truth, `outcome` compares the
two, `evaluation` puts these together, `result` is what comes of it, for `view` and `picture` to show; `reuse` counts
what keeping columns would save.
"""
