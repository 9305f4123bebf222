"""All that knows sound: clips and their splits, MFCC, augmentation, other words and silence, when a command counts."""
