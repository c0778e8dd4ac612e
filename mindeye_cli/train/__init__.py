"""Training of the networks (one step loop for all of them) and of the closed-form ridge model."""
