"""The Natural Scenes Dataset (Allen et al. 2022) as its bucket lays it out."""
