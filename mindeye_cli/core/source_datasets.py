"""Where a store's responses come from, in BIDS' field `SourceDatasets`.

Written by `mindeye prepare`, read by `mindeye report`, which reminds of NSD's agreement and never
lets simulated data pass for measured ones.
"""

from __future__ import annotations

from pathlib import Path

from mindeye_cli.core.fingerprint import of_file

NSD = "NSD"
# Where NSD says how to get the data, after its data access agreement.
AGREEMENT_PAGE = "https://cvnlab.slite.page/p/dC~rBTjqjb/How-to-get-the-data"
SIMULATION = "mindeye-simulation"
# What `mindeye simulate` leaves at the root of everything that it writes.
RECORD = "simulation.json"


def source_datasets(folder: Path, name: str | None) -> list[dict[str, str]]:
    """Entries for `SourceDatasets`.

    Parameters
    ----------
    folder : Path
        What was read. A simulation is known by its record there or one folder above.
    name : str or None
        The data set that has this layout when nobody simulated it; None where any may.

    Returns
    -------
    list of dict
        With `id` and, of a simulation, the `sha256` of its record.
    """
    for place in (folder, folder.resolve().parent):
        if (place / RECORD).is_file():
            return [{"id": SIMULATION, "sha256": of_file(place / RECORD)}]
    return [] if name is None else [{"id": name}]
