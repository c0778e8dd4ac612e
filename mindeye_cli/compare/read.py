"""Evaluations of one system: a single one, or one a row where rows are subjects or seeds.

Shapes: `G` distinct images.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindeye_store.errors import InvalidInput, MissingResource

Floats = NDArray[np.float64]
FILE = "evaluation.json"
SCHEMA, VERSION = "mindeye-evaluation", 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One evaluation.

    Attributes
    ----------
    path : Path
        Of `evaluation.json`.
    subject : str or None
        Whose brain it was, where a manifest says it.
    ids : list of str
        Image of each entry.
    stimuli : str or None
        Fingerprint of the true pictures by id.
    metrics : dict
        Lines of the score sheet.
    """

    path: Path
    subject: str | None
    ids: list[str]
    stimuli: str | None
    metrics: dict[str, Any]

    @property
    def images(self) -> list[str]:
        """Distinct images, sorted."""
        return sorted(set(self.ids))

    def scores(self, metric: str) -> Floats:
        """Mean score of each image in the order of `images`, float64 (G,); NaN where undefined."""
        values = _floats(self.metrics[metric]["per_image"])
        groups = np.unique(np.asarray(self.ids), return_inverse=True)[1]
        defined = np.isfinite(values)
        totals = np.bincount(groups, weights=np.where(defined, values, 0.0))
        counts = np.bincount(groups, weights=defined.astype(np.float64))
        with np.errstate(invalid="ignore"):
            return np.asarray(totals / counts)

    def contributions(self, metric: str) -> Floats:
        """What images contribute: pseudo-values of scores of pairs, else their scores; (G,)."""
        pseudo = self.metrics[metric].get("pseudo_values")
        return self.scores(metric) if pseudo is None else _floats(pseudo)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What is compared: `rows` by name; a single evaluation is the row ''."""

    name: str
    rows: dict[str, Row]


def read_system(path: Path) -> System:
    """Read an evaluated folder, or a folder of such folders.

    Raises
    ------
    MissingResource
        There is nothing, or it has not been evaluated.
    InvalidInput
        A damaged evaluation, or one of another version.
    """
    if not path.exists():
        raise MissingResource("no such file or folder", where=str(path), fix="check the path")
    file = path / FILE if path.is_dir() else path
    if file.is_file():
        return System(name=str(path), rows={"": _read(file)})
    below = sorted(path.glob(f"*/{FILE}"))
    if not below:
        raise MissingResource(
            "the reconstructions have not been evaluated",
            where=str(path),
            fix=f"mindeye evaluate {path} --store STORE",
        )
    return System(name=str(path), rows={file.parent.name: _read(file) for file in below})


def _read(file: Path) -> Row:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if (document["schema"], document["schema_version"]) != (SCHEMA, VERSION):
            raise InvalidInput(
                f"{document['schema']} of version {document['schema_version']}, this program"
                f" compares {SCHEMA} of version {VERSION}",
                where=str(file),
                fix=f"mindeye evaluate {file.parent} --overwrite",
            )
        row = Row(
            path=file,
            subject=_subject(file.parent / "manifest.json"),
            ids=[str(image) for image in document["ids"]],
            stimuli=document.get("inputs", {}).get("pictures"),
            metrics=dict(document["metrics"]),
        )
        for line in row.metrics.values():
            if len(line["per_image"]) != len(row.ids):
                raise ValueError("as many scores as ids are needed")
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise InvalidInput(
            f"not an evaluation: {problem}",
            where=str(file),
            fix=f"mindeye evaluate {file.parent} --overwrite",
        ) from problem
    return row


def _subject(manifest: Path) -> str | None:
    if not manifest.is_file():
        return None
    name = json.loads(manifest.read_text(encoding="utf-8")).get("subject")
    return None if name is None else str(name)


def _floats(values: list[float | None]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
