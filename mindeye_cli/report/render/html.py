"""HTML: one file, no script, no request; Jinja escapes every value."""

from __future__ import annotations

from pathlib import Path

import jinja2

from mindeye_cli.report.render.page import Page

TEMPLATES = Path(__file__).parent.parent / "templates"


def render(page: Page) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment.get_template("page.html").render(page=page)
