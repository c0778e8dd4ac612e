"""BIDS derivatives of single-trial betas: 4-D NIfTI files, one volume per row of events.tsv."""
