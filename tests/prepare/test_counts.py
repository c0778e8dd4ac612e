"""Totals of all eight subjects and both releases, at NSD's real size.

The order of trials is ours, so of NSD's published counts only those that its rules alone imply can
be met here; all of them are asserted where `MINDEYE_NSD_DESIGN` names the real `nsd_expdesign.mat`.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from prepare.real_size import RealSize

from mindeye_cli.prepare.nsd.check import Checked, NsdOptions, check
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_store import InvalidInput

# Issue's and the papers' totals: sessions, training trials and images, test trials and images.
PUBLISHED = {
    (1, 2, 5, 7): ((40, 27000, 9000, 3000, 1000), (37, 24980, 8859, 2770, 982)),
    (3, 6): ((32, 21629, 8481, 2371, 930), (29, 19637, 8188, 2113, 894)),
    (4, 8): ((30, 20312, 8302, 2188, 907), (27, 18265, 7907, 1985, 872)),
}
BY_SUBJECT = [(s, both) for group, both in PUBLISHED.items() for s in group]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealSize:
    data = RealSize(tmp_path_factory.mktemp("real") / "nsd")
    data.write()
    for subject in range(1, 9):
        data.write_subject(subject)
    return data


def read(root: Path, subject: int, sessions: int) -> Checked:
    layout = NsdLayout(root=root, subject=subject)
    taken = tuple(range(1, sessions + 1))
    return check(NsdOptions(layout=layout, store=root / "none.zarr", sessions=taken))


def totals(checked: Checked) -> tuple[int, int, int, int]:
    train, test = (checked.table.splits()[name] for name in ("train", "test"))
    return train["trials"], train["images"], test["trials"], test["images"]


@pytest.mark.parametrize(("subject", "published"), BY_SUBJECT)
def test_totals_equal_an_independent_count(
    real: RealSize, subject: int, published: tuple[tuple[int, ...], ...]
) -> None:
    for sessions, *known in published:
        checked = read(real.root, subject, sessions)
        numbers = real.picture(subject, sessions)
        test = np.isin(numbers, real.shared)
        expected = (sum(~test), len(set(numbers[~test])), sum(test), len(set(numbers[test])))
        assert totals(checked) == expected
        assert len(checked.table) == 750 * sessions == known[0] + known[2]
        times = [int((numbers == picture).sum()) for picture in real.shared]
        assert list(checked.repeats.values()) == [times.count(n) for n in range(max(times) + 1)]
        if sessions == 40:  # every picture three times, in whatever order
            assert totals(checked) == tuple(known)
            assert checked.release == "all sessions"
        else:
            assert checked.release is None


def test_it_says_what_it_found(real: RealSize, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mindeye"):
        read(real.root, 2, 40)
        read(real.root, 2, 37)
        read(real.root, 2, 12)
    said = caplog.text
    assert "NSD's all sessions, all counts as published" in said
    assert "sessions as in NSD's first release, but" in said and "instead of 982" in said
    assert "12 sessions are neither of NSD's releases" in said


def test_both_design_files_agree_at_real_size(real: RealSize) -> None:
    table = real.experiments / "nsd_stim_info_merged.csv"
    real.write_table(5)
    checked = read(real.root, 5, 40)
    assert totals(checked) == (27000, 9000, 3000, 1000)
    assert checked.pictures.records[0]["coco_id"] == 9 * checked.pictures.records[0]["nsd_id"]
    lines = table.read_text().splitlines()
    a, b = (n for n, line in enumerate(lines) if line.split(",")[-3] in ("100", "200"))
    one, two = lines[a].split(","), lines[b].split(",")
    one[-3], two[-3] = two[-3], one[-3]
    lines[a], lines[b] = ",".join(one), ",".join(two)
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(InvalidInput, match="disagree on 2 of 30000 trials: trial 100 shows"):
        read(real.root, 5, 40)
    table.unlink()


def test_a_design_against_the_rules_is_refused(tmp_path: Path) -> None:
    data = RealSize(tmp_path / "nsd")
    data.order[np.flatnonzero(data.order == 5)] = 6
    data.write()
    data.write_subject(7)
    with pytest.raises(InvalidInput, match="2997 test trials instead|999 test images instead"):
        read(data.root, 7, 40)


@pytest.mark.skipif(
    "MINDEYE_NSD_DESIGN" not in os.environ, reason="MINDEYE_NSD_DESIGN names no nsd_expdesign.mat"
)
@pytest.mark.parametrize(("subject", "published"), BY_SUBJECT)
def test_published_counts_of_the_real_design(
    real: RealSize, tmp_path: Path, subject: int, published: tuple[tuple[int, ...], ...]
) -> None:
    root = tmp_path / "nsd"
    shutil.copytree(real.root, root)
    shutil.copy(
        os.environ["MINDEYE_NSD_DESIGN"], root / "nsddata/experiments/nsd/nsd_expdesign.mat"
    )
    for (sessions, *known), name in zip(published, ("all sessions", "first release"), strict=True):
        checked = read(root, subject, sessions)
        assert totals(checked) == tuple(known)
        assert checked.release == name
        if sessions == 37:
            assert checked.repeats == {"0": 18, "1": 33, "2": 110, "3": 839}
