"""Procedural scenes: 64x64 pictures of known content, each a pure function of a seed."""

from __future__ import annotations

from mindeye_cli.core.scenes.draw import category_map, render
from mindeye_cli.core.scenes.sample import sample_scene
from mindeye_cli.core.scenes.scene import Background, Scene, SceneObject, scene_from_record
from mindeye_cli.core.scenes.seeds import builtin_seed, simulation_seed
from mindeye_cli.core.scenes.variations import near_duplicates, other_category
from mindeye_cli.core.scenes.vocabulary import BACKGROUNDS, CATEGORIES, COLOURS, TEXTURES

__all__ = [
    "BACKGROUNDS",
    "CATEGORIES",
    "COLOURS",
    "TEXTURES",
    "Background",
    "Scene",
    "SceneObject",
    "builtin_seed",
    "category_map",
    "near_duplicates",
    "other_category",
    "render",
    "sample_scene",
    "scene_from_record",
    "simulation_seed",
]
