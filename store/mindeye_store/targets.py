"""Target spaces: a frozen encoder's output for every image, segment by segment."""

from __future__ import annotations

from pathlib import Path

from mindeye_store.errors import InvalidInput, MissingResource
from mindeye_store.images import Images
from mindeye_store.published import fingerprint, group_folders, user_attributes
from mindeye_store.read import Reader
from mindeye_store.readers import ReaderKind, in_memory, open_array_reader
from mindeye_store.schema import encode
from mindeye_store.segments import SegmentReader
from mindeye_store.views import split_view

ROWS = "rows"
# Optional attribute of a targets bundle: content fingerprint of the images it was made of.
IMAGES = "images"
# Optional attribute of a view's bundle: fingerprint of the plain targets' encoder.
VIEW_OF = "view_of"


def prepare_command(store: Path, space: str) -> str:
    """Return the command that makes the targets of a space, or of a view of one."""
    plain, view = split_view(space)
    if plain.startswith("array:"):
        return f"mindeye prepare targets {store} --space {space} --from FILE.npy"
    return f"mindeye prepare targets {store} --space {plain}" + (f" --views {view}" if view else "")


def open_target(store: Path, images: Images, space: str, kind: ReaderKind) -> Reader:
    """Open a target space over global image rows; see `Store.target`."""
    folders = {p.name: p for p in group_folders(store / "targets" / encode(space))}
    absent = MissingResource(
        f"targets {space!r} are missing" + (" for some images" if folders else ""),
        where=str(store),
        fix=prepare_command(store, space),
    )
    makers = {user_attributes(folder).get("fingerprint") for folder in folders.values()}
    if len(makers) > 1:
        raise InvalidInput(
            f"the segments of {space!r} were made by different encoders",
            where=str(store),
            fix=f"mindeye store rm {store} targets/{space}",
        )
    if split_view(space)[1]:
        _refuse_view_of_another(store, list(folders.values()), space)
    parts: list[Reader | None] = []
    for segment, count in zip(images.segments, images.counts, strict=True):
        folder = folders.get(segment)
        part = None if folder is None else open_array_reader(folder, ROWS, kind)
        if part is not None and len(part) != count:
            raise InvalidInput(
                f"{len(part)} targets for {count} images",
                where=str(folder),
                fix=f"mindeye store rm {store} targets/{space}",
            )
        if folder is not None:
            _refuse_other_images(store, folder, space)
        parts.append(part)
    return in_memory(SegmentReader(parts, images.counts, absent), kind)


def _refuse_other_images(store: Path, folder: Path, space: str) -> None:
    """Targets that were made of other pictures than the segment's, such as from another store."""
    made_of = user_attributes(folder).get(IMAGES)
    if made_of is not None and made_of != fingerprint(store / "images" / folder.name):
        raise InvalidInput(
            f"the targets {space!r} were made of other images than the store's",
            where=str(folder),
            fix=f"mindeye store rm {store} targets/{space}; {prepare_command(store, space)}",
        )


def _refuse_view_of_another(store: Path, folders: list[Path], space: str) -> None:
    """A view of an encoder that has since been replaced under the plain space's name."""
    plain = group_folders(store / "targets" / encode(split_view(space)[0]))
    held = {user_attributes(folder).get("fingerprint") for folder in plain}
    made_of = {user_attributes(folder).get(VIEW_OF) for folder in folders} - {None}
    if held and made_of - held:
        raise InvalidInput(
            f"{space!r} was made by another encoder than the plain targets",
            where=str(store),
            fix=f"mindeye store rm {store} targets/{space}; {prepare_command(store, space)}",
        )
