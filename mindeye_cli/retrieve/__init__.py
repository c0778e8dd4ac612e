"""Retrieval: which image a brain response belongs to, and which response an image belongs to."""
