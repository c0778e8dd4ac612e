"""The sections of a page, in its order.

A new kind of finding gets a file here whose `build(findings, context)` gives a
:class:`~mindeye_cli.report.blocks.Section`, or None where there is nothing to show, and a line in
:data:`.order.SECTIONS`. Sections yield blocks and no HTML, so every format shows them.
"""
