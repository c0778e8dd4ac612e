"""Sparse autoencoders between brain and embeddings: atoms to name, to map and to ask for."""
