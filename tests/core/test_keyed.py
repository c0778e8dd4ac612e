"""Keyed randomness, fingerprints, JSON conversion, stop flags, threads and progress."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
import torch

from mindeye_cli.core import fingerprint, launch, progress, sampler, threads
from mindeye_cli.core.jsonable import dumps, to_jsonable
from mindeye_cli.core.signals import StopFlag
from mindeye_store.errors import Requeue, UsageProblem


def test_epoch_order_is_a_permutation_of_seed_and_epoch_alone() -> None:
    order = sampler.epoch_order(50, 1, 2)
    assert order.dtype == np.int64 and sorted(order) == list(range(50))
    sampler.epoch_order(9, 5, 5)
    assert (sampler.epoch_order(50, 1, 2) == order).all()
    for seed, epoch in ((1, 3), (2, 2), (2, 1)):
        assert (sampler.epoch_order(50, seed, epoch) != order).any()
    # The first place is uniform over the items: 20 expected each, chi-square with 49 degrees.
    first = [sampler.epoch_order(50, 0, epoch)[0] for epoch in range(1000)]
    counts = np.bincount(first, minlength=50)
    assert ((counts - 20) ** 2 / 20).sum() < 90


def test_keys_are_separate_and_stable() -> None:
    digest = hashlib.sha256(b'[7, "mixco", 3]').digest()
    assert sampler.derived_seed(7, "mixco", 3) == int.from_bytes(digest[:8], "little") >> 1
    seeds = {sampler.derived_seed(*keys) for keys in ((1, 2), (2, 1), (1, "2"), (1,), (12,))}
    assert len(seeds) == 5
    assert sampler.rng(0, "a", 1).random() == sampler.rng(0, "a", np.int64(1)).random()
    one, two = (torch.rand(4, generator=sampler.torch_generator(0, "x")) for _ in range(2))
    assert torch.equal(one, two)


def test_fingerprints_of_arrays() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    same = (np.asfortranarray(array), array.astype(">f4"))
    other = (array.astype(np.float64), array.reshape(3, 2), array + 1)
    assert {fingerprint.of_array(item) for item in same} == {fingerprint.of_array(array)}
    assert len({fingerprint.of_array(item) for item in (array, *other)}) == 4


def test_fingerprints_of_weights_files_and_plans(tmp_path: Path) -> None:
    state = {"a": torch.ones(2, dtype=torch.bfloat16), "b": torch.tensor(3)}
    assert fingerprint.of_state_dict(state) == fingerprint.of_state_dict(
        dict(reversed(state.items()))
    )
    assert fingerprint.of_state_dict(state) != fingerprint.of_state_dict(
        {**state, "b": torch.tensor(4)}
    )
    (tmp_path / "f").write_bytes(b"abc")
    assert fingerprint.of_file(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()
    assert fingerprint.of_json({"a": 1, "b": (2,)}) == fingerprint.of_json({"b": [2], "a": 1})
    facts = fingerprint.environment()
    assert facts["numpy"] == np.__version__ and "/" not in json.dumps(facts)


class _Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class _Point:
    x: float
    at: Path


def test_json_conversion() -> None:
    value = {
        1: np.float32("nan"),
        "inf": [float("inf"), -np.inf],
        "array": np.array([[1, 2]]),
        "tensor": torch.tensor([1.0, float("nan")]),
        "point": _Point(0.5, Path("a/b")),
        "enum": _Colour.RED,
        "bool": np.bool_(True),
        "set": {2, 1},
        "none": None,
    }
    assert json.loads(dumps(value)) == {
        "1": None,
        "inf": [None, None],
        "array": [[1, 2]],
        "tensor": [1.0, None],
        "point": {"x": 0.5, "at": "a/b"},
        "enum": "red",
        "bool": True,
        "set": [1, 2],
        "none": None,
    }
    assert to_jsonable(True) is True
    with pytest.raises(TypeError, match="object"):
        dumps(object())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_stop_signals_are_remembered_until_the_loop_asks(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopFlag() as flag:
        flag.raise_requeue("RUN step 1")
        assert not flag.is_set
        os.kill(os.getpid(), number)
        assert flag.is_set
        with pytest.raises(Requeue, match=rf"{number.name}, all progress is saved \(RUN step 2\)"):
            flag.raise_requeue("RUN step 2")
    with pytest.raises(Requeue, match="another process"):
        StopFlag().raise_requeue("RUN step 3", agreed=True)
    assert signal.getsignal(number) is before


def test_threads_are_set_for_one_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    with threads.threads(before + 1) as count:
        assert count == torch.get_num_threads() == before + 1
        with threads.threads(None) as inner:
            assert inner == before + 1
    assert torch.get_num_threads() == before
    monkeypatch.setenv(threads.VARIABLE, "3")
    with threads.threads(1) as count:
        assert count == 3
    for text in ("0", "two", "-1"):
        monkeypatch.setenv(threads.VARIABLE, text)
        with pytest.raises(UsageProblem, match="MINDEYE_THREADS"):
            threads.thread_count(1)


def test_progress_logs_at_intervals(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with (
        caplog.at_level(logging.INFO, "mindeye"),
        progress.track("encode", 40, unit="images") as bar,
    ):
        for _ in range(40):
            clock[0] += 2.0
            bar.advance(note="loss 0.1")
    assert [record.getMessage() for record in caplog.records] == [
        "encode: 15/40 images, 0.5/s, 0:50 left, loss 0.1",
        "encode: 30/40 images, 0.5/s, 0:20 left, loss 0.1",
        "encode: 40 images in 1:20",
    ]


def test_progress_is_silent_when_quiet_or_not_the_main_rank(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mindeye"), progress.track("a", 1) as bar:
        bar.advance()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert (launch.rank(), launch.world_size(), launch.is_main_rank()) == (1, 2, False)
    with caplog.at_level(logging.INFO, "mindeye"), progress.track("a", 1) as bar:
        bar.advance()
    assert not caplog.records and bar.done == 1


def test_progress_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(logging.getLogger("mindeye"), "level", logging.INFO)
    logging.getLogger("mindeye").manager._clear_cache()  # type: ignore[attr-defined]
    with progress.track("encode", 3, unit="images") as bar:
        bar.advance(3, note="done")
    shown = capsys.readouterr()
    assert "encode" in shown.err and "3/3" in shown.err and shown.out == ""


def test_clock() -> None:
    assert progress._clock(59.6) == "1:00" and progress._clock(3725) == "1:02:05"
