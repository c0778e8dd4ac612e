"""What a reader must know of the noise before believing a map."""

from __future__ import annotations

import numpy as np
import pytest

from mindeye_cli.explain.signal import Signal


@pytest.mark.parametrize(("single", "words"), [(0.02, "low signal: 2.0%"), (None, "ncsnr")])
def test_low_or_unknown_signal_is_warned_of(single: float | None, words: str) -> None:
    warning = Signal(single=single, grey=np.zeros(3, bool), r=0.1).warning
    assert warning is not None and words in warning


def test_usual_signal_needs_no_warning() -> None:
    assert Signal(single=0.12, grey=np.zeros(3, bool), r=0.1).warning is None
