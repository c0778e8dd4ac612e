"""Several jobs on one store: four subjects at once, targets by shards, a study in a loop.

The study starts some twenty processes and runs with `MINDEYE_WHOLE=1` alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindeye_cli.prepare.target_sources import TargetOptions
from mindeye_cli.prepare.targets import prepare_targets
from mindeye_store import open_store, verify_store

SUBJECTS = (1, 2, 5, 7)
BUNDLES = [f"subjects/subj{subject:02d}" for subject in SUBJECTS]


@pytest.fixture(scope="module")
def nsd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mindeye_cli.simulate.run import simulate
    from mindeye_cli.simulate.settings import SimulateConfig

    root = tmp_path_factory.mktemp("four") / "nsd"
    simulate(root, SimulateConfig(subjects=SUBJECTS, images=20, test=6, voxels=100, seed=2))
    return root


def start(*words: object, umask: int = -1) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mindeye_cli", *map(str, words), "--quiet"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, umask=umask)


def images_of(path: Path, subject: str) -> list[str]:
    """Ids of the images behind a subject's trials."""
    store = open_store(path)
    return [store.images.ids[row] for row in store.subject(subject).image_index]


@pytest.mark.timeout(900)
def test_four_jobs_prepare_four_subjects_at_once(nsd: Path, tmp_path: Path) -> None:
    one, many = tmp_path / "one.zarr", tmp_path / "many.zarr"
    many_jobs = [
        start("prepare", "nsd", nsd, many, "--subject", subject, "--max-invalid", 0.1, umask=0o002)
        for subject in SUBJECTS
    ]
    errors = [job.communicate()[1] for job in many_jobs]
    assert [job.returncode for job in many_jobs] == [0] * 4, errors
    from mindeye_cli.prepare.nsd.check import NsdOptions
    from mindeye_cli.prepare.nsd.layout import NsdLayout
    from mindeye_cli.prepare.nsd.run import prepare_nsd

    for subject in SUBJECTS:
        layout = NsdLayout(root=nsd, subject=subject)
        prepare_nsd(NsdOptions(layout=layout, store=one, max_invalid=0.1))
    first, second = open_store(one), open_store(many)
    assert first.subjects == second.subjects == [name.rpartition("/")[2] for name in BUNDLES]
    assert set(first.images.ids) == set(second.images.ids)
    assert first.images.n == second.images.n
    for name in first.subjects:
        # Rows of images follow the order of arrival; what they stand for does not.
        assert images_of(one, name) == images_of(many, name)
        values = [
            store.subject(name).voxels.read(np.arange(len(store.subject(name).split)))
            for store in (first, second)
        ]
        np.testing.assert_array_equal(*values)
    assert verify_store(many) == []
    written = [path for path in many.rglob("*") if path.is_file() and "_locks" not in path.parts]
    assert all(path.stat().st_mode & 0o020 for path in written), "the group may not write"
    assert all(path.stat().st_gid == many.stat().st_gid for path in written)


def test_shards_of_targets_equal_the_whole(nsd: Path, tmp_path: Path) -> None:
    job = start("prepare", "nsd", nsd, tmp_path / "s.zarr", "--subject", 1, "--max-invalid", 0.1)
    assert "error" not in job.communicate()[1] and job.returncode == 0
    shutil.copytree(tmp_path / "s.zarr", tmp_path / "t.zarr")
    options = {"space": "pixels:8", "weights": None, "given": None}
    whole = prepare_targets(TargetOptions(store=tmp_path / "s.zarr", **options))  # type: ignore[arg-type]
    parts = [
        prepare_targets(TargetOptions(store=tmp_path / "t.zarr", part=part, **options))  # type: ignore[arg-type]
        for part in ((1, 2), (0, 2))
    ]
    assert [part.values["published"] for part in parts] == [False, True]
    assert whole.values["rows_total"] == parts[1].values["rows_total"]
    bundle = "targets/pixels:8/0000"
    stores = [open_store(tmp_path / name) for name in ("s.zarr", "t.zarr")]
    assert stores[0].fingerprint(bundle) == stores[1].fingerprint(bundle)


STUDY = """
set -eu
for subject in $SUBJECTS; do
  mindeye prepare nsd "$NSD" study.zarr --subject $subject --max-invalid 0.1
done
mindeye prepare targets study.zarr --space scene-vae
for subject in $SUBJECTS; do
  for seed in 0 1; do
    run=subj0$subject-seed$seed
    mindeye train low-level study.zarr runs/$run --subject subj0$subject --space scene-vae \\
      --set seed=$seed --set optim.epochs=1 --set model.hidden=16 --set model.blocks=1 \\
      --set losses.contrastive=0 --set optim.batch=8
    mindeye reconstruct study.zarr recon/$run --low runs/$run --decoder low-level
  done
done
mindeye evaluate recon/* --store study.zarr --metrics pixcorr,ssim --json > table.jsonl
"""


@pytest.mark.skipif("MINDEYE_WHOLE" not in os.environ, reason="MINDEYE_WHOLE is not set")
@pytest.mark.timeout(900)
def test_a_study_of_subjects_and_seeds_ends_in_one_table(nsd: Path, tmp_path: Path) -> None:
    subjects = (1, 2)
    function = f'mindeye() {{ "{sys.executable}" -m mindeye_cli "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", function + STUDY],
        cwd=tmp_path,
        env=os.environ | {"NSD": str(nsd), "SUBJECTS": " ".join(map(str, subjects))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    table = [json.loads(line) for line in (tmp_path / "table.jsonl").read_text().splitlines()]
    names = [Path(line["recon"]).name for line in table]
    assert names == [f"subj0{subject}-seed{seed}" for subject in subjects for seed in (0, 1)]
    assert all(set(line["metrics"]) == {"pixcorr", "ssim"} for line in table)
    values = [line["metrics"]["pixcorr"]["value"] for line in table]
    assert len(set(values)) == 2 * len(subjects)
