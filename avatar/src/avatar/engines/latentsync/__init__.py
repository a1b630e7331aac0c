"""LatentSync 1.5 and 1.6: a person's own video is given the mouth of another sound.

Written from the published shapes, formulas and key names, so that the official checkpoints load with strict
keys. Only modules of this package import torch; nothing imports them before the engine is asked for.
"""
