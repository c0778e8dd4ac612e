"""A run's outputs for given responses."""
