"""A small brain of which everything is known, for `explain.py`."""
