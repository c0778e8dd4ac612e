"""Loaders of the built-in models."""
