"""A finished index, read: exact scans, inverted lists, metadata, filters, and the pictures found.

`mindeye_cli/index` builds what is opened here.
"""
