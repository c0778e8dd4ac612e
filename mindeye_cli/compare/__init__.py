"""Paired comparison of evaluated reconstructions."""
