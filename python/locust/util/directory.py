"""Files in a folder."""

from __future__ import annotations

import os


def get_abspaths_in(path: str, extension: str = ".py") -> list[str]:
    """Absolute paths of the files below `path` that end in `extension`, but for names that begin with ``_``."""
    return [
        os.path.join(folder, name)
        for folder, _, names in os.walk(os.path.abspath(path))
        for name in names
        if name.endswith(extension) and not name.startswith("_")
    ]
