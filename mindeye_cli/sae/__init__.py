"""Sparse autoencoders between brain activity and embeddings: atoms that can be named, mapped and asked for."""
