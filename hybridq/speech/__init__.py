"""All that knows sound: clips and their splits, MFCC, augmentation, other words and silence, when a command counts.

audio/                recordings: sources, splits, reading, synthetic voices
mfcc.py               the front end: sound into features
normalisation.py      features with mean 0 and deviation 1
dataset.py            sounds and features of a data set, and the epochs of a training
augmentation.py       training sounds, different in every epoch
negative_sampling.py  the silence and the unknown words of an epoch
synthetic_mix.py      synthetic voices in the place of training clips
decision.py           when a command counts: false accepts and false rejects over a threshold
settings.py           all that a recipe says of sound
c_front_end.py        the front end as C, of the code in c/
"""
