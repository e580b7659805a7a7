"""Find the built package: $GREGARIA_BUILD, or build/ in the repository."""

import os
import sys
from pathlib import Path

BUILD = Path(os.environ.get("GREGARIA_BUILD") or Path(__file__).parents[2] / "build")

if str(BUILD / "python") not in sys.path:
    sys.path.insert(0, str(BUILD / "python"))

import locust  # noqa: E402, F401 - patches the standard library before a test imports what it patches
