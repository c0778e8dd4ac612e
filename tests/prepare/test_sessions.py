"""Sessions cut side by side: as one after the other, and what a stop or a damaged file leaves."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prepare.nsd_fixture import TinyNsd, write_tiny_nsd

from mindeye_cli.prepare.nsd.betas import BetaSeries
from mindeye_cli.prepare.nsd.check import NsdOptions
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.run import prepare_nsd
from mindeye_cli.prepare.nsd.volumes import Mask
from mindeye_store import InvalidInput, Requeue, open_store

BUNDLE = "subjects/subj01"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TinyNsd:
    return write_tiny_nsd(tmp_path_factory.mktemp("tiny") / "nsd", n_sessions=5)


def prepare(data: TinyNsd, store: Path) -> str:
    prepare_nsd(NsdOptions(layout=NsdLayout(root=data.root, subject=1), store=store))
    return open_store(store).fingerprint(BUNDLE)


def begun(monkeypatch: pytest.MonkeyPatch, then: Callable[[Path], object]) -> list[str]:
    """Names of the sessions that are read from here on; `then` is called before each."""
    names: list[str] = []
    plain = BetaSeries.read

    def read(self: BetaSeries, mask: Mask, *rest: Any) -> np.ndarray:
        names.append(self.path.name)
        then(self.path)
        return plain(self, mask, *rest)

    monkeypatch.setattr(BetaSeries, "read", read)
    return names


def cut_sessions(store: Path) -> list[str]:
    return sorted(path.stem for path in store.parent.glob(f".{store.name}.*/session-*.json"))


def test_threads_change_nothing(
    data: TinyNsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINDEYE_THREADS", "1")
    one = prepare(data, tmp_path / "one.zarr")
    monkeypatch.setenv("MINDEYE_THREADS", "4")
    assert prepare(data, tmp_path / "four.zarr") == one


def test_a_stop_signal_ends_after_whole_sessions_and_the_rest_follows(
    data: TinyNsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINDEYE_THREADS", "1")
    store, seen = tmp_path / "s.zarr", []

    def stop(path: Path) -> None:
        seen.append(path)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    names = begun(monkeypatch, stop)
    with pytest.raises(Requeue, match="SIGTERM"):
        prepare(data, store)
    finished = len(cut_sessions(store))
    assert 2 <= finished == len(names) < 5
    assert prepare(data, store) == prepare(data, tmp_path / "plain.zarr")
    assert names.count("betas_session01.nii.gz") == 2  # once for each store
    assert cut_sessions(store) == []


def test_a_damaged_session_leaves_the_whole_ones(tmp_path: Path) -> None:
    data = write_tiny_nsd(tmp_path / "nsd", n_sessions=4)
    file = data.beta_file(4)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    store = tmp_path / "s.zarr"
    with pytest.raises(InvalidInput, match="end early or are damaged") as caught:
        prepare(data, store)
    assert caught.value.where == str(file)
    assert not store.exists()
    assert "session-01" in cut_sessions(store) and "session-04" not in cut_sessions(store)
    file.write_bytes(whole)
    assert prepare(data, store) == prepare(data, tmp_path / "plain.zarr")
