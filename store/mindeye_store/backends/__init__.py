"""How rows are read: RAM for what fits, else in place; zarr for compressed arrays; a map or TensorStore when asked."""
