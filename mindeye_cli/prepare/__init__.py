"""Data sets as labs have them -> the feature store: trials, voxels, images and frozen targets.

`nsd/` and `arrays/` each read one layout; what they share (z-scoring, reliability, the subject's
bundle, the images) lies beside them; `targets.py` caches an encoder's outputs.
"""
