"""Command line of the built-in models' training; `python -m mindeye_cli.builtin --help`."""

from __future__ import annotations

from mindeye_cli.builtin.command import main

if __name__ == "__main__":
    main()
