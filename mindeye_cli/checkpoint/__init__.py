"""Published checkpoints brought into a RUN, and what a RUN's weights are."""
