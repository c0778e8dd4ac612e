"""The published protocols' networks: their weights, inputs, nodes, and features kept on disk."""
