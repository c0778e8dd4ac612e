"""What `--index` asks of decoder `nearest`: pictures of a collection, not the training images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mindeye_cli.core.neighbours.pictures import refuse_offline
from mindeye_store.errors import UsageProblem

if TYPE_CHECKING:
    from mindeye_cli.core.neighbours.at_hand import NearestPictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A collection that was indexed by `mindeye retrieve index`, and where its pictures are.

    Attributes
    ----------
    index : Path
    pictures : Path or None
        A folder of picture files or tar shards; by default the one that was indexed, if it was one.
    download : bool
        Fetch from the metadata's addresses what is not in it.
    rerank : Path or None
        A RUN whose embedding chooses among the first pictures at hand.
    """

    index: Path
    pictures: Path | None = None
    download: bool = False
    rerank: Path | None = None

    def __post_init__(self) -> None:
        if self.download:
            refuse_offline()

    def open(self, space: str) -> NearestPictures:
        """The collection, searched with embeddings of a SPACE; errors as of `NearestPictures`."""
        from mindeye_cli.core.neighbours.at_hand import NearestPictures

        return NearestPictures(self.index, space, self.pictures, download=self.download)


def outside_of(
    index: Path | None, pictures: Path | None, download: bool, rerank: Path | None
) -> Outside | None:
    """The collection that a command line names; None where it names none.

    Raises
    ------
    UsageProblem
        An option that is read with an index alone.
    """
    if index is not None:
        return Outside(index=index, pictures=pictures, download=download, rerank=rerank)
    given = {"--pictures": pictures is not None, "--download": download, "--rerank": bool(rerank)}
    for name, is_given in given.items():
        if is_given:
            raise UsageProblem(
                "it is read with --index alone", where=name, fix="give --index INDEX"
            )
    return None
