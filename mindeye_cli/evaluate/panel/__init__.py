"""The generalisation panel: what of a score is more than the nearest training image."""
