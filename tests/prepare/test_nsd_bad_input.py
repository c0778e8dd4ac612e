"""Every way in which NSD's files can be wrong: one line, the right class, the store unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from prepare.files import edit, tree
from prepare.nsd_broken import CASES, Break
from prepare.nsd_fixture import TinyNsd, write_tiny_nsd

from mindeye_cli.prepare.nsd.check import NsdOptions
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.run import prepare_nsd
from mindeye_store import InvalidInput, MindeyeError, create_store


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> TinyNsd:
    return write_tiny_nsd(tmp_path_factory.mktemp("pristine") / "nsd")


@pytest.mark.parametrize(("breaks", "kind", "says"), CASES, ids=[c[0].__name__ for c in CASES])
def test_one_line_and_an_unchanged_store(
    pristine: TinyNsd, tmp_path: Path, breaks: Break, kind: type[MindeyeError], says: str
) -> None:
    shutil.copytree(pristine.root, tmp_path / "nsd")
    data = TinyNsd(
        tmp_path / "nsd",
        betas=pristine.betas,
        order=pristine.order,
        subjectim=pristine.subjectim,
        sharedix=pristine.sharedix,
        pixels=pristine.pixels,
    )
    breaks(data)
    store = tmp_path / "s.zarr"
    create_store(store)
    before = tree(store)
    layout = NsdLayout(root=data.root, subject=1)
    with pytest.raises(kind) as caught:
        prepare_nsd(NsdOptions(layout=layout, store=store))
    assert type(caught.value) is kind
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert tree(store) == before


def test_a_store_of_another_version_is_refused(pristine: TinyNsd, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    create_store(store)
    edit(store / "zarr.json", '"schema_version":1', '"schema_version":99')
    before = tree(store)
    with pytest.raises(InvalidInput, match="schema version 99"):
        prepare_nsd(NsdOptions(layout=NsdLayout(root=pristine.root, subject=1), store=store))
    assert tree(store) == before
