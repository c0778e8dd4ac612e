"""Nearest neighbours among embedding shards: exact scans, inverted lists with small codes, search.

The shards are the user's own and stay where they are; an index holds a manifest, trained centroids
and codes, and every score that is reported comes from the shards.
"""
