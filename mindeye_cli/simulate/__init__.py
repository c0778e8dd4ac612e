"""A brain with known tuning, written in the layout of the Natural Scenes Dataset (NSD)."""
