"""A scene as data: background, objects, caption and attribute record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mindeye_cli.core.scenes.vocabulary import Rgb

_TEXTURE_WORDS = {"plain": "plain", "stripes": "striped", "dots": "dotted", "checks": "checked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Backdrop: its kind, tint, and the height of the horizon as a fraction of the picture."""

    kind: str
    colour: str
    rgb: Rgb
    horizon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObject:
    """One drawn object; `size`, `x` and `y` are fractions of the picture's width."""

    category: str
    colour: str
    rgb: Rgb
    size: float
    x: float
    y: float
    texture: str
    variant: int

    @property
    def size_word(self) -> str:
        """`small`, `medium` or `large`."""
        return "small" if self.size < 0.3 else "medium" if self.size < 0.45 else "large"

    @property
    def position_words(self) -> str:
        """Vertical then horizontal position, each in thirds of the used range."""
        vertical = "top" if self.y < 0.4 else "middle" if self.y < 0.6 else "bottom"
        horizontal = "left" if self.x < 0.4 else "centre" if self.x < 0.6 else "right"
        return f"{vertical} {horizontal}"

    def phrase(self) -> str:
        """Words for the caption, without an article."""
        texture = _TEXTURE_WORDS[self.texture]
        return f"{self.size_word} {self.colour} {texture} {self.category} {self.position_words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture's full description; objects are listed largest first."""

    seed: int
    background: Background
    objects: tuple[SceneObject, ...]

    def record(self) -> dict[str, Any]:
        """Attribute record, ready for JSON; `scene_from_record` turns it back into the scene."""
        record = asdict(self)
        record["background"]["rgb"] = list(self.background.rgb)
        record["objects"] = [asdict(item) | {"rgb": list(item.rgb)} for item in self.objects]
        return record

    def caption(self) -> str:
        """One sentence made of a small fixed vocabulary."""
        objects = " and a ".join(item.phrase() for item in self.objects)
        return f"a {objects} on a {self.background.colour} {self.background.kind} background"


def scene_from_record(record: dict[str, Any]) -> Scene:
    """The scene a record describes.

    Parameters
    ----------
    record : dict
        As `Scene.record` returns it, possibly read back from JSON.

    Returns
    -------
    Scene

    Raises
    ------
    KeyError, TypeError
        If a key is missing or unknown.
    """
    background = Background(**(record["background"] | {"rgb": tuple(record["background"]["rgb"])}))
    objects = tuple(
        SceneObject(**(item | {"rgb": tuple(item["rgb"])})) for item in record["objects"]
    )
    return Scene(seed=record["seed"], background=background, objects=objects)
