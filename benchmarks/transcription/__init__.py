"""The documented MindEye (2023) high-level training step, transcribed plainly: the speed baseline.

Written from the published description in plain torch and kept as straightforward as it reads:
einsum attention, norms written out, one parameter at a time in AdamW, float32, rows decoded one at
a time from tar files. Modules carry the published names, so that its state dictionary is a
published checkpoint. Nothing of the package is used here.
"""
