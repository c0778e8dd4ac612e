"""Maps as files: NIfTI volumes, slices of the subject's own volume, and standard surfaces."""
