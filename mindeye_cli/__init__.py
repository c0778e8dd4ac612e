"""Retrieve and reconstruct what a person saw from fMRI responses.

The command line is `mindeye`; the same functions are importable from the sub-packages. Importing
this package imports nothing else.
"""

from __future__ import annotations

__version__ = "0.1.0"
