"""MindEye2's files: responses in HDF5, trials in tar files of behaviour, pictures in HDF5."""
