"""A trained network on a stream of sound: what it hears while listening, and how well that works over a long time.

rule.py        when a command counts
sources.py     samples of a file or a microphone; listening.py: from samples to answers
view.py        what a person sees of it
scene.py       long audio with its truth; outcome.py: what was heard beside it
evaluation.py  a network on long audio; result.py: what comes of that; picture.py: its curve
reuse.py       what keeping columns would save
"""
