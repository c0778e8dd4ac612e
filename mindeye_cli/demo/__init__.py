"""The whole path on a simulated brain, through the public commands."""
