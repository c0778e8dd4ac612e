from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from mindeye_cli.core import checkpoint
from mindeye_store.errors import InvalidInput, MissingResource


def _tensors(step: int) -> dict[str, torch.Tensor]:
    return {
        "model.w": torch.full((3, 2), float(step)),
        "rng": torch.tensor([step], dtype=torch.uint8),
    }


def test_save_and_read_the_latest(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path) is None
    for step in (9, 10, 100):
        checkpoint.save(tmp_path, step, _tensors(step), {"epoch": step // 4})
    found = checkpoint.latest(tmp_path)
    assert found is not None and found.step == 100 and found.state["epoch"] == 25
    assert torch.equal(found.tensors["model.w"], torch.full((3, 2), 100.0))
    kept = {entry.name for entry in (tmp_path / "checkpoints").iterdir()}
    assert kept == {"ckpt-10", "ckpt-100", "LATEST"}


def test_same_step_again_changes_nothing(tmp_path: Path) -> None:
    folder = checkpoint.save(tmp_path, 5, _tensors(5), {})
    before = (folder / "tensors.safetensors").stat().st_mtime_ns
    checkpoint.save(tmp_path, 5, _tensors(5), {})
    assert (folder / "tensors.safetensors").stat().st_mtime_ns == before


def test_bytes_depend_on_the_tensors_alone(tmp_path: Path) -> None:
    one = {"b": torch.ones(2), "a": torch.zeros(3)}
    shared = torch.ones(4)
    checkpoint.save_tensors(tmp_path / "1", one)
    checkpoint.save_tensors(tmp_path / "2", dict(reversed(one.items())))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    checkpoint.save_tensors(tmp_path / "3", {"a": shared, "tied": shared, "view": shared[::2]})
    assert torch.equal(checkpoint.load_tensors(tmp_path / "3")["view"], torch.ones(2))


def test_the_file_is_the_librarys_own(tmp_path: Path) -> None:
    """Byte for byte, for every type, sizes of nothing and one, and names beyond ASCII."""
    types = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)
    types += (torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
    tensors = {f"w{number}": torch.arange(5).to(kind) for number, kind in enumerate(types)}
    tensors |= {"scalar": torch.tensor(2.5), "none": torch.ones(0, 3), "z\u00fcrich": torch.ones(2)}
    tensors |= {"part": torch.arange(12.0).view(3, 4).T, "long": torch.arange(2.0**25)[::2]}
    checkpoint.save_tensors(tmp_path / "ours", tensors)
    plain = {name: value.contiguous() for name, value in tensors.items()}
    assert (tmp_path / "ours").read_bytes() == safetensors.torch.save(plain)
    with pytest.raises(ValueError, match="complex"):
        checkpoint.save_tensors(tmp_path / "other", {"c": torch.ones(1, dtype=torch.complex64)})
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]


_PEAK = """
import resource, sys, torch
from pathlib import Path
from mindeye_cli.core import checkpoint
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
tensors = {f"w{k}": torch.ones(8, 2**20) for k in range(4)}
checkpoint.save_tensors(Path(sys.argv[1], "warm"), {"a": torch.ones(3)})
before = peak()
checkpoint.save_tensors(Path(sys.argv[1], "file"), tensors)
print(peak() - before)
"""


def test_saving_takes_no_second_copy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 40  # MiB, of 128


def test_damage_is_named(tmp_path: Path) -> None:
    folder = checkpoint.save(tmp_path, 5, _tensors(5), {})
    file = folder / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(InvalidInput, match=r"ckpt-5/tensors\.safetensors"):
        checkpoint.latest(tmp_path)
    (folder / "state.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"ckpt-5/state\.json"):
        checkpoint.latest(tmp_path)
    (tmp_path / "checkpoints" / "LATEST").write_text("ckpt-6\n")
    with pytest.raises(MissingResource, match="ckpt-6"):
        checkpoint.latest(tmp_path)
    with pytest.raises(MissingResource, match=r"none\.safetensors"):
        checkpoint.load_tensors(tmp_path / "none.safetensors")


# One process imports torch once and forks the writers that it kills.
_KILLER = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
from mindeye_cli.core import checkpoint
run, draw, last, seen = Path(sys.argv[1]), random.Random(0), 0, []
pointer = run / "checkpoints" / "LATEST"
for attempt in range(10):
    child = os.fork()
    if child == 0:
        for step in range(last + 1, 10**6):
            checkpoint.save(run, step, {"w": torch.full((2000,), float(step))}, {"twice": 2 * step})
    while not pointer.exists() or pointer.read_text().strip() == f"ckpt-{last}":
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = checkpoint.latest(run)
    if found is not None:
        assert found.state == {"step": found.step, "twice": 2 * found.step}
        assert torch.equal(found.tensors["w"], torch.full((2000,), float(found.step)))
        assert found.step >= last
        last = found.step
    seen.append(last)
checkpoint.save(run, last + 1, {}, {})
print(json.dumps({"seen": seen, "left": sorted(p.name for p in (run / "checkpoints").iterdir())}))
"""


def test_killed_at_random_moments_the_latest_is_whole(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLER, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["seen"] == sorted(report["seen"])
    assert report["seen"][-1] >= 10 and len(report["left"]) == 3
    assert not any(".tmp-" in name for name in report["left"])
