"""Fewer queries in the self-check: these collections are small."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _fewer_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mindeye_cli.index.selfcheck.QUERIES", 96)
