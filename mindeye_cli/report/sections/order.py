"""The sections of a page, in its order."""

from __future__ import annotations

from collections.abc import Callable

from mindeye_cli.report.blocks import Section
from mindeye_cli.report.context import Context
from mindeye_cli.report.findings import Findings
from mindeye_cli.report.sections import (
    compared,
    exhibits,
    explained,
    methods,
    panel,
    provenance,
    published,
    reconstruction,
    retrieval,
    summary,
    systems,
    training,
)

SECTIONS: tuple[Callable[[Findings, Context], Section | None], ...] = (
    summary.build,
    systems.build,
    compared.build,
    published.build,
    reconstruction.build,
    panel.build,
    retrieval.build,
    explained.build,
    exhibits.build,
    training.build,
    methods.build,
    provenance.build,
)


def sections(findings: Findings, context: Context) -> tuple[Section, ...]:
    """Every section that has something to show."""
    built = (build(findings, context) for build in SECTIONS)
    return tuple(section for section in built if section is not None)
