"""Any data set in the bring-your-own layout: `voxels.npy`, `trials.csv`, pictures, `voxels.csv`."""
