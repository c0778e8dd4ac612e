"""Where MindEye2 keeps each file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mindeye_store.errors import MissingResource

TestSet = Literal["new", "old"]
# Folder of each test set; the old one is that of NSD's first release.
TEST_FOLDERS: dict[TestSet, str] = {"new": "new_test", "old": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mindeye2Layout:
    """Paths of one subject's files.

    Attributes
    ----------
    root : Path
    subject : int
        1 to 8.
    test_set : {"new", "old"}
    """

    root: Path
    subject: int
    test_set: TestSet

    @property
    def name(self) -> str:
        """The subject as the files and the store call it."""
        return f"subj{self.subject:02d}"

    @property
    def betas(self) -> Path:
        """Responses, dataset `betas` (n_trials, n_voxels)."""
        return self.root / f"betas_all_{self.name}_fp32_renorm.hdf5"

    @property
    def pictures(self) -> Path:
        """All pictures, dataset `images` (73000, 3, 224, 224)."""
        return self.root / "coco_images_224_float16.hdf5"

    @property
    def trials(self) -> Path:
        """Folder of the tar files of behaviour."""
        return self.root / "wds" / self.name

    @property
    def test(self) -> list[Path]:
        """Tar files of the chosen test set."""
        return self._numbered(TEST_FOLDERS[self.test_set])

    @property
    def train(self) -> list[Path]:
        """Tar files of training trials, one a session, in order."""
        return self._numbered("train")

    @property
    def files(self) -> list[Path]:
        """Everything that is read."""
        return [self.betas, self.pictures, *self.train, *self.test]

    def _numbered(self, folder: str) -> list[Path]:
        """`0.tar`, `1.tar`, ... without a gap.

        Raises
        ------
        MissingResource
            None is there, or one is missing among them.
        """
        home = self.trials / folder
        names = home.iterdir() if home.is_dir() else ()
        found = {int(m[1]): path for path in names if (m := re.fullmatch(r"(\d+)\.tar", path.name))}
        missing = sorted(set(range(max(1, len(found)))) - set(found))
        if missing:
            raise MissingResource(
                f"the tar file of {'test' if folder != 'train' else 'training'} trials is missing",
                where=str(home / f"{missing[0]}.tar"),
                fix="fetch it, or give another --subject or --test-set",
            )
        return [found[number] for number in sorted(found)]
