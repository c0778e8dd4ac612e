"""Networks, losses and encoders: tensors in, tensors out; nothing here reads a store or prints.

Sizes always come from a configuration or from the tensors, so that the published networks and the
small built-in ones are the same classes.
"""
