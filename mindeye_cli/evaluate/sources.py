"""Where pictures come from: reconstruction folders, plain folders, and stores of stimuli."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindeye_cli.evaluate.pictures import Pictures, picture_files, read_pictures
from mindeye_store import open_store
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Pictures of one folder before they are read.

    Attributes
    ----------
    path : Path
        As given on the command line.
    names, ids : tuple of str
        File name without suffix, and image id, of each entry.
    files : tuple of Path
    manifest : dict or None
        What `mindeye reconstruct` recorded; None for a plain folder.
    """

    path: Path
    names: tuple[str, ...]
    ids: tuple[str, ...]
    files: tuple[Path, ...]
    manifest: dict[str, Any] | None


def open_folder(path: Path) -> Folder:
    """List a reconstruction's pictures, or those of a plain folder named by image id.

    Raises
    ------
    MissingResource
        No such folder.
    InvalidInput
        No pictures in it, a damaged manifest, or a picture that the manifest names is not there.
    """
    if not path.is_dir():
        raise MissingResource(
            "no such folder", where=str(path), fix="make one: mindeye reconstruct --help"
        )
    inner = path / "images" if (path / "images").is_dir() else path
    found = picture_files(inner)
    if not found:
        raise InvalidInput("no PNG or JPEG pictures", where=str(inner))
    file = path / "manifest.json"
    if not file.exists():
        names = tuple(found)
        return Folder(path=path, names=names, ids=names, files=tuple(found.values()), manifest=None)
    manifest, entries = _read_manifest(file)
    for name, _ in entries:
        if name not in found:
            raise InvalidInput(
                f"the picture {name!r} of the manifest is not there",
                where=str(inner),
                fix="run the same mindeye reconstruct again",
            )
    return Folder(
        path=path,
        names=tuple(name for name, _ in entries),
        ids=tuple(image_id for _, image_id in entries),
        files=tuple(found[name] for name, _ in entries),
        manifest=manifest,
    )


def _read_manifest(file: Path) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        entries = [(str(line["name"]), str(line["id"])) for line in manifest["images"]]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as problem:
        raise InvalidInput(
            f"not a manifest of a reconstruction: {problem}", where=str(file)
        ) from problem
    if not entries:
        raise InvalidInput("the reconstruction holds no picture", where=str(file))
    return manifest, entries


def reconstructions(folder: Folder) -> Pictures:
    """Read a folder's pictures in its own order."""
    return Pictures(ids=folder.ids, pixels=read_pictures(folder.files))


def control_pictures(path: Path, recon: Folder) -> Pictures:
    """Read a control's pictures in the order of the reconstruction they stand beside.

    Raises
    ------
    InvalidInput
        The control lacks one of the reconstruction's pictures.
    """
    control = open_folder(path)
    by_name = dict(zip(control.names, control.files, strict=True))
    missing = [name for name in recon.names if name not in by_name]
    if missing:
        raise InvalidInput(
            f"the control lacks {len(missing)} of the reconstruction's {len(recon.names)} pictures,"
            f" first {missing[0]!r}",
            where=str(path),
            fix="reconstruct the same images for both",
        )
    return Pictures(ids=recon.ids, pixels=read_pictures([by_name[name] for name in recon.names]))


class Stimuli:
    """The true images, from a store or a folder; read once for each list of ids.

    Parameters
    ----------
    store, images : Path or None
        At most one; without either, the store that a manifest names.
    """

    def __init__(self, store: Path | None, images: Path | None) -> None:
        if store is not None and images is not None:
            raise UsageProblem("--store and --images exclude each other", where="evaluate")
        self.store, self.images = store, images
        self._read: dict[tuple[Path, tuple[str, ...]], Pictures] = {}

    def path(self, folder: Folder) -> Path:
        """Where the stimuli of a reconstruction come from.

        Raises
        ------
        UsageProblem
            Neither an option nor the manifest says.
        """
        named = (folder.manifest or {}).get("store")
        path = self.images or self.store or (Path(named) if named else None)
        if path is None:
            raise UsageProblem(
                "the stimuli are not known",
                where=str(folder.path),
                fix="add --store STORE or --images DIR",
            )
        return path

    def of(self, folder: Folder) -> Pictures:
        """The stimuli of a reconstruction's entries, in its order."""
        key = (self.path(folder), folder.ids)
        if key not in self._read:
            read = _from_folder if self.images is not None else _from_store
            self._read[key] = read(*key)
        return self._read[key]


def _from_store(path: Path, ids: tuple[str, ...]) -> Pictures:
    images = open_store(path).images
    _require(ids, images.rows, path)
    rows = [images.rows[image_id] for image_id in ids]
    known = images.records or [None] * images.n
    records = tuple(record for record in (known[row] for row in rows) if record is not None)
    return Pictures(
        ids=ids,
        pixels=images.read(np.asarray(rows, dtype=np.int64)),
        records=records if len(records) == len(rows) else None,
    )


def _from_folder(path: Path, ids: tuple[str, ...]) -> Pictures:
    if not path.is_dir():
        raise MissingResource("no such folder", where=str(path), fix="check --images")
    found = picture_files(path)
    _require(ids, found, path)
    return Pictures(ids=ids, pixels=read_pictures([found[image_id] for image_id in ids]))


def _require(ids: tuple[str, ...], known: dict[str, Any], path: Path) -> None:
    unknown = [image_id for image_id in ids if image_id not in known]
    if unknown:
        raise InvalidInput(
            f"{len(unknown)} of {len(ids)} reconstructed images are not among the stimuli,"
            f" first {unknown[0]!r}",
            where=str(path),
            fix="give the stimuli that were reconstructed: --store STORE or --images DIR",
        )
