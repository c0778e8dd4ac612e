"""How rows are read: zarr by default, RAM for what fits, TensorStore when it is installed."""
