"""The tar files of MindEye (Scotti et al. 2023): one sample an image, up to three repetitions."""
