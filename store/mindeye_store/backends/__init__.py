"""How rows are read: from RAM, in place, or through zarr; by a map or TensorStore when asked."""
