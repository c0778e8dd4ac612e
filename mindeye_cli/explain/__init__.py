"""Which areas of a brain answer for an image, or for what a set of images shares."""
