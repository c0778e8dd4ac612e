"""Areas of the brain by name, and expressions over them.

    V1 | V2            union
    floc-faces & ventral   intersection
    nsdgeneral - V1    difference (with spaces where a name holds a hyphen)
    lh.FFA-1, rh.V1    one hemisphere
    (V1 | V2) - rh.V1d

A name is a label of an atlas (`FFA-1`), a family of labels (`V1` is `V1v | V1d`, `FFA` is
`FFA-1 | FFA-2`), or an atlas (`floc-faces`: all of its labels). `ATLAS:NAME` says which atlas is
meant; without it, areas drawn for the subject (`prf-`, `floc-`) come before those of atlases.
`&` binds more closely than `|` and `-`, which are read from left to right.

Hemispheres come from an atlas `hemisphere`, or from the atlases `lh.NAME` and `rh.NAME` beside
`NAME`, which hold the labels of one hemisphere.

Sets of areas overlap: a voxel of `FFA-1` is also one of `ventral`. Never add scores over sets.

Shapes: `V` voxels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mindeye_store.errors import InvalidInput, UsageProblem

Mask = NDArray[np.bool_]
# Atlas of hemispheres: that of `voxels.csv`, or made by `prepare nsd` for a ROI expression.
HEMISPHERE = "hemisphere"
SIDES = ("lh", "rh")
# Sets that were drawn for each subject come first when a name stands in several atlases.
_DRAWN = ("prf-", "floc-")
_FAMILY = re.compile(r"(v|d|-\d+)")
_TOKEN = re.compile(r"\s*([|&()-]|[A-Za-z0-9][\w.:+]*(?:-[\w.:+]+)*)")
_SHOWN = 40
# Brackets are read by recursion.
_MOST_TOKENS = 500


class Atlas(Protocol):
    """Labels of voxels and their names, as a store's subject and `prepare` hold them."""

    @property
    def labels(self) -> NDArray[np.int16]:
        """Label of every voxel (V,); 0 and below is none."""

    @property
    def names(self) -> dict[int, str]:
        """Names of the labels."""


@dataclass(frozen=True, slots=True)
class Area:
    """One named area: the atlas that holds it, its name there, and its voxels, bool (V,)."""

    atlas: str
    name: str
    voxels: Mask


def list_areas(atlases: Mapping[str, Atlas]) -> list[Area]:
    """Every label that has voxels, atlas by atlas in the order of preference.

    The hemispheres, and labels that hold every voxel, are left out: they tell no areas apart.
    """
    found = []
    for atlas in _preferred(atlases):
        for label, name in _named(atlases[atlas]).items():
            voxels = np.asarray(atlases[atlas].labels) == label
            if atlas != HEMISPHERE and voxels.any() and not voxels.all():
                found.append(Area(atlas, name, voxels))
    return found


def resolve(atlases: Mapping[str, Atlas], expression: str, *, where: str = "--roi") -> Mask:
    """Voxels that an expression names.

    Parameters
    ----------
    atlases : mapping of str to Atlas
        Such as `Subject.rois`.
    expression : str
    where : str
        The option it comes from, for messages.

    Returns
    -------
    bool array (V,)

    Raises
    ------
    UsageProblem
        Not an expression.
    InvalidInput
        A name that the subject does not have, or no voxel is left.
    """
    if not atlases:
        raise InvalidInput(
            "the subject has no ROI labels",
            where=where,
            fix="prepare it with ROI volumes, or with ROI columns in voxels.csv",
        )
    reader = _Reader(atlases, expression, where)
    voxels = reader.read()
    if not voxels.any():
        raise InvalidInput(
            f"{expression!r} holds no voxel of this subject",
            where=where,
            fix=f"choose among {names_there(atlases)}",
        )
    return voxels


def names_there(atlases: Mapping[str, Atlas]) -> str:
    """The areas that can be named, for messages."""
    areas = [area.name for area in list_areas(atlases)]
    names = list(dict.fromkeys([*areas, *(a for a in _preferred(atlases) if a != HEMISPHERE)]))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def area_voxels(atlases: Mapping[str, Atlas], name: str) -> Mask | None:
    """Voxels of one name, without hemisphere or operators; None where no atlas knows it.

    An area that the atlas names but the subject lacks is empty, not unknown.
    """
    found = find_area(atlases, name)
    return None if found is None else found.voxels


def find_area(atlases: Mapping[str, Atlas], name: str) -> Area | None:
    """One name's voxels as `area_voxels` gives them, with the atlas that was taken."""
    atlas, colon, inner = name.partition(":")
    if colon:
        candidates, label = [atlas] if atlas in atlases else [], inner
    elif name in atlases:
        return Area(name, name, np.asarray(atlases[name].labels) > 0)
    else:
        candidates, label = _preferred(atlases), name
    for candidate in candidates:
        voxels = _in_atlas(atlases[candidate], label)
        if voxels is not None:
            return Area(candidate, label, voxels)
    return None


def _in_atlas(atlas: Atlas, name: str) -> Mask | None:
    labels = [
        label
        for label, text in _named(atlas).items()
        if text == name
        or (text.startswith(name) and _FAMILY.fullmatch(text.removeprefix(name)) is not None)
    ]
    return np.isin(atlas.labels, labels) if labels else None


def _named(atlas: Atlas) -> dict[int, str]:
    """Labels above 0 and their names; a label without a name goes by its number."""
    there = {int(n): str(int(n)) for n in np.unique(atlas.labels) if n > 0}
    return there | {label: name for label, name in atlas.names.items() if label > 0}


def _preferred(atlases: Mapping[str, Atlas]) -> list[str]:
    whole = [name for name in atlases if not name.startswith(tuple(f"{side}." for side in SIDES))]
    return sorted(whole, key=lambda name: (not name.startswith(_DRAWN), name))


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, atlases: Mapping[str, Atlas], expression: str, where: str) -> None:
        self.atlases, self.expression, self.where = atlases, expression, where
        self.tokens: list[str] = []
        self.columns: list[int] = []
        for column, token in self._split():
            self.tokens.append(token)
            self.columns.append(column)
            if len(self.tokens) > _MOST_TOKENS:
                raise self._wrong(f"more than {_MOST_TOKENS} names and signs", column)
        self.place = 0

    def read(self) -> Mask:
        voxels = self._sum()
        if self.place < len(self.tokens):
            raise self._wrong(f"{self._peek()!r} is not expected", self._column(self.place))
        return voxels

    def _split(self) -> Iterator[tuple[int, str]]:
        """Tokens with the character, counted from 1, at which each begins."""
        position, text = 0, self.expression.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                position += len(text[position:]) - len(text[position:].lstrip())
                raise self._wrong(f"{text[position]!r} is not expected", position + 1)
            position, column = found.end(), found.start(1) + 1
            for part in self._parts(found[1]):
                yield column, part
                column += len(part)

    def _parts(self, token: str) -> Iterator[str]:
        """A word as it is, or cut at hyphens where only its pieces are names: `V1-V2`."""
        pieces = [token] if token in "|&()-" else token.split("-")
        while pieces:
            for count in range(len(pieces), 0, -1):
                name = "-".join(pieces[:count])
                if count == 1 or self._voxels(name) is not None:
                    break
            yield name
            pieces = pieces[count:]
            if pieces:
                yield "-"

    def _sum(self) -> Mask:
        voxels = self._product()
        while self._peek() in ("|", "-"):
            operator = self._next()
            other = self._product()
            voxels = voxels | other if operator == "|" else voxels & ~other
        return voxels

    def _product(self) -> Mask:
        voxels = self._term()
        while self._peek() == "&":
            self._next()
            voxels = voxels & self._term()
        return voxels

    def _term(self) -> Mask:
        column = self._column(self.place)
        token = self._next()
        if token == "(":
            voxels = self._sum()
            if self._next() != ")":
                raise self._wrong("a bracket is not closed", column)
            return voxels
        if token in ("", "|", "&", "-", ")"):
            raise self._wrong(
                f"a name is missing before {token!r}" if token else "a name is missing", column
            )
        found = self._voxels(token)
        if found is None:
            raise InvalidInput(
                f"the subject has no area {token!r} (character {column} of {self.expression!r})",
                where=self.where,
                fix=f"choose among {names_there(self.atlases)}",
            )
        return found

    def _voxels(self, name: str) -> Mask | None:
        side, dot, inner = name.partition(".")
        if not dot or side not in SIDES or name in self.atlases:
            return area_voxels(self.atlases, name)
        found = find_area(self.atlases, inner)
        if found is None:
            return None
        if f"{side}.{found.atlas}" in self.atlases:
            return found.voxels & (np.asarray(self.atlases[f"{side}.{found.atlas}"].labels) > 0)
        if HEMISPHERE not in self.atlases:
            raise InvalidInput(
                f"{name!r} needs the hemisphere of every voxel, which the subject lacks",
                where=self.where,
                fix="prepare it with the lh. and rh. ROI volumes, or a column 'hemisphere'",
            )
        half = _in_atlas(self.atlases[HEMISPHERE], side)
        return found.voxels & half if half is not None else np.zeros_like(found.voxels)

    def _peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self.place += 1
        return token

    def _column(self, place: int) -> int:
        """Character at which a token begins; of the end, one past the last."""
        return self.columns[place] if place < len(self.columns) else len(self.expression) + 1

    def _wrong(self, problem: str, column: int) -> UsageProblem:
        return UsageProblem(
            f"{problem} at character {column} of {self.expression!r}",
            where=self.where,
            fix='write an expression such as "V1 | FFA-1", "nsdgeneral - V1" or "lh.V1 & early" of'
            f" {names_there(self.atlases)}",
        )
