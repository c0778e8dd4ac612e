"""`python -m mindeye_cli` equals `mindeye`."""

from __future__ import annotations

import sys

from mindeye_cli.app import main

if __name__ == "__main__":
    sys.exit(main())
