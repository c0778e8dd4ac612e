"""The score sheet: image metrics with intervals and controls beside every number."""
