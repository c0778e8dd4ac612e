"""Staged bundles: where one is built, which plan it follows, and who may build it.

`STORE/_staging/<bundle>/` holds `plan.json` and the growing `bundle/`. Writers of parts of one
bundle hold a lock each (`<i>-of-<n>`); `turn` is held for moments only, to open, declare arrays
and publish one at a time.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindeye_store.errors import InvalidInput, UsageProblem
from mindeye_store.files import disk_errors, read_json, write_json
from mindeye_store.lock import Lock, held_locks, locked_error
from mindeye_store.owner import state_of
from mindeye_store.schema import LOCKS, STAGING, BundleName, plan_hash

TURN_WAIT_S = 120.0
_TURN = "turn"


@dataclass(frozen=True, slots=True)
class Places:
    """Every folder that one bundle can have in a store."""

    store: Path
    name: BundleName

    @property
    def published(self) -> Path:
        """Where readers find it."""
        return self.store / self.name.folder

    @property
    def staging(self) -> Path:
        """Where it is built, with its plan."""
        return self.store / STAGING / self.name.slug

    @property
    def bundle(self) -> Path:
        """The growing bundle."""
        return self.staging / "bundle"

    @property
    def replaced(self) -> Path:
        """The old bundle, for the moment of replacing it."""
        return self.staging / "replaced"

    @property
    def locks(self) -> Path:
        """Locks of its writers."""
        return self.store / LOCKS / self.name.slug

    def turn(self) -> Lock:
        """Return the lock that is held for moments only."""
        return Lock(self.locks, _TURN, self.name.text)


def part_lock(places: Places, part: tuple[int, int], purpose: str) -> Lock:
    """Take the lock of one part; call with `turn` held.

    Parameters
    ----------
    places : Places
    part : (int, int)
    purpose : str
        The plan's hash; writers of other plans are refused.

    Raises
    ------
    UsageProblem
        The part is not `(i, n)` with 0 <= i < n.
    StoreLocked
        This part, another split of the bundle or another plan for it is being written.
    """
    index, count = part
    if not 0 <= index < count:
        raise UsageProblem(f"part {index}/{count} does not exist", fix="use 0 <= i < n in i/n")
    for name, holder in held_locks(places.locks).items():
        together = name.endswith(f"-of-{count}") and holder.purpose == purpose
        if name != _TURN and not together and state_of(holder) != "dead":
            raise locked_error(places.name.text, places.locks / name, holder)
    lock = Lock(places.locks, f"{index}-of-{count}", places.name.text, purpose)
    lock.acquire()
    return lock


def open_staging(places: Places, plan: Mapping[str, Any]) -> None:
    """Make or resume the staged bundle of a plan; call with `turn` and a part's lock held."""
    wanted = plan_hash(plan)
    with disk_errors(places.staging):
        _recover(places)
        if staged_plan(places) != wanted:
            # Nobody else works on it: whoever had another plan would have been refused.
            discard(places)
        places.bundle.mkdir(parents=True, exist_ok=True)
        if staged_plan(places) != wanted:
            write_json(places.staging / "plan.json", {"sha256": wanted, "plan": dict(plan)})


def staged_plan(places: Places) -> str | None:
    """Return the hash of the plan that the staged bundle follows, if there is one."""
    try:
        return str(read_json(places.staging / "plan.json").get("sha256"))
    except (FileNotFoundError, InvalidInput):
        return None


def discard(places: Places) -> None:
    """Remove staged work; its plan first, so that what is left is never resumed."""
    if places.staging.is_dir():
        (places.staging / "plan.json").unlink(missing_ok=True)
        shutil.rmtree(places.staging)


def _recover(places: Places) -> None:
    """Put back a bundle whose replacement was killed between its two renames."""
    if places.replaced.is_dir():
        if places.published.is_dir():
            shutil.rmtree(places.replaced)
        else:
            places.replaced.rename(places.published)
