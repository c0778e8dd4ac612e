"""`kill -9` at random moments, then the same command: the same bytes as without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from prepare.nsd_fixture import write_tiny_nsd

from mindeye_store import open_store, verify_store

# Imports first, so that kills land in the work itself; forked before anything starts a thread.
SCRIPT = """
import json, os, random, signal, sys, time
from pathlib import Path
from mindeye_cli.prepare.nsd.check import NsdOptions
from mindeye_cli.prepare.nsd.layout import NsdLayout
from mindeye_cli.prepare.nsd.run import prepare_nsd
from mindeye_cli.prepare.targets import TargetOptions, prepare_targets
import mindeye_store.store, mindeye_store.opening

root, plain, killed = map(Path, sys.argv[1:4])

def start(store):
    child = os.fork()
    if child == 0:
        layout = NsdLayout(root=root, subject=1)
        prepare_nsd(NsdOptions(layout=layout, store=store))
        prepare_targets(TargetOptions(store=store, space="pixels:10"))
        os._exit(0)
    return child

begin = time.monotonic()
assert os.waitpid(start(plain), 0)[1] == 0
whole = time.monotonic() - begin
chance, ended = random.Random(int(sys.argv[4])), []
for attempt in range(10):
    child = start(killed)
    time.sleep(whole * (attempt + chance.random()) / 10)
    os.kill(child, signal.SIGKILL)
    ended.append(os.waitpid(child, 0)[1])
assert os.waitpid(start(killed), 0)[1] == 0
print(json.dumps(ended))
"""


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    data = write_tiny_nsd(tmp_path / "nsd", n_sessions=6)
    plain, killed = tmp_path / "plain.zarr", tmp_path / "killed.zarr"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, data.root, plain, killed, "3"],
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 9 in json.loads(done.stdout)
    one, other = open_store(plain), open_store(killed)
    for bundle in ("images/0000", "subjects/subj01", "targets/pixels:10/0000"):
        assert one.fingerprint(bundle) == other.fingerprint(bundle)
    assert verify_store(killed) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
