"""Where pictures come from: reconstructions, plain folders, tensor files, and stores of stimuli.

Pictures are matched by image id. A tensor file without ids has rows alone: its rows are the stimuli
in their order, and there must be as many.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindeye_cli.evaluate.known import FolderSource, Source, StoreSource, TensorSource
from mindeye_cli.evaluate.pictures import Pictures, Pixels, picture_files, read_pictures
from mindeye_cli.evaluate.tensors import read_tensors
from mindeye_store.errors import InvalidInput, MissingResource, UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Pictures of one folder before they are read, or those of a tensor file.

    Attributes
    ----------
    path : Path
        As given on the command line.
    names, ids : tuple of str
        File name without suffix, and image id, of each entry.
    files : tuple of Path
        None for a tensor file.
    manifest : dict or None
        What `mindeye reconstruct` recorded; None for others' pictures.
    pixels : array (n, H, W, 3) or None
        Of a tensor file.
    by_row : bool
        There are no ids: row `k` belongs to the `k`-th stimulus.
    """

    path: Path
    names: tuple[str, ...]
    ids: tuple[str, ...]
    files: tuple[Path, ...]
    manifest: dict[str, Any] | None
    pixels: Pixels | None = None
    by_row: bool = False

    @property
    def home(self) -> Path:
        """The folder for what is found out about the pictures."""
        if self.pixels is None:
            return self.path
        return self.path.with_name(f"{self.path.stem}-evaluation")


def open_folder(path: Path) -> Folder:
    """List a reconstruction's pictures, or those of a plain folder or tensor file.

    Raises
    ------
    MissingResource
        No such folder.
    InvalidInput
        No pictures in it, a damaged manifest, or a picture that the manifest names is not there.
    """
    if path.is_file():
        return _open_tensors(path)
    if not path.is_dir():
        raise MissingResource(
            "no such folder or file", where=str(path), fix="make one: mindeye reconstruct --help"
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


def _open_tensors(path: Path) -> Folder:
    pixels, ids = read_tensors(path)
    rows = tuple(str(k) for k in range(len(pixels)))
    return Folder(
        path=path,
        names=rows if ids is None else ids,
        ids=rows if ids is None else ids,
        files=(),
        manifest=None,
        pixels=pixels,
        by_row=ids is None,
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


def reconstructions(folder: Folder, ids: tuple[str, ...]) -> Pictures:
    """Read a folder's pictures in its own order; `ids` are those of their stimuli."""
    return Pictures(ids=ids, pixels=_pixels(folder))


def _pixels(folder: Folder) -> Pixels:
    return read_pictures(folder.files) if folder.pixels is None else folder.pixels


def control_pictures(path: Path, recon: Folder, ids: tuple[str, ...]) -> Pictures:
    """Read a control's pictures in the order of the reconstruction they stand beside.

    Raises
    ------
    InvalidInput
        The control lacks one of the reconstruction's pictures.
    """
    control = open_folder(path)
    if control.by_row or recon.by_row:
        if len(control.names) != len(recon.names):
            raise InvalidInput(
                f"{len(control.names)} pictures, where the reconstruction has {len(recon.names)}",
                where=str(path),
                fix="give the same images, in the same order",
            )
        return Pictures(ids=ids, pixels=_pixels(control))
    places = {name: place for place, name in enumerate(control.names)}
    missing = [name for name in recon.names if name not in places]
    if missing:
        raise InvalidInput(
            f"the control lacks {len(missing)} of the reconstruction's {len(recon.names)} pictures,"
            f" first {missing[0]!r}",
            where=str(path),
            fix="reconstruct the same images for both",
        )
    rows = [places[name] for name in recon.names]
    if control.pixels is not None:
        return Pictures(ids=ids, pixels=control.pixels[rows])
    return Pictures(ids=ids, pixels=read_pictures([control.files[row] for row in rows]))


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
        path = self.path(folder)
        source = self._open(path)
        ids = _in_order(source, folder) if folder.by_row else folder.ids
        key = (path, ids)
        if key not in self._read:
            self._read = {key: source.read(ids)}  # one set at a time: they may be large
        return self._read[key]

    def count(self, folder: Folder) -> int | None:
        """How many stimuli a folder or tensor file of them holds; None of a store."""
        return None if self.images is None else len(self._open(self.path(folder)).known)

    def _open(self, path: Path) -> Source:
        if self.images is None:
            return StoreSource(path)
        if path.is_file():
            return TensorSource(path)
        if not path.is_dir():
            raise MissingResource("no such folder or file", where=str(path), fix="check --images")
        return FolderSource(path)


def _in_order(source: Source, folder: Folder) -> tuple[str, ...]:
    ids = tuple(source.order())
    if len(ids) != len(folder.names):
        raise InvalidInput(
            f"{len(folder.names)} pictures without ids, where there are {len(ids)} stimuli",
            where=str(folder.path),
            fix="give exactly the stimuli that were reconstructed, in the same order",
        )
    return ids
