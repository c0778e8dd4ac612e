"""What a decoder makes of each voxel: gradients along paths, Shapley values, occlusion.

Each takes a function of responses to one number a row, (B, V) to (B,), and knows no model.
"""
