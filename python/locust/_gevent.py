"""Importing gevent without the weight of pkg_resources.

gevent before 23 imports pkg_resources, for one function that lists the entry points of its plugins, and calls it several
times while it patches. That takes longer than everything else at start (0.1 s of CPU and 12 MB on Debian 12). Here the
installed packages are searched for such plugins directly, and only if there are some are they loaded the proper way.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any, Iterable, Iterator


def _mentions_plugins(folder: str) -> bool:
    """Whether a package in `folder` declares a plugin of gevent."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            try:
                with open(os.path.join(folder, name, "entry_points.txt"), "rb") as file:
                    if b"gevent.plugins" in file.read():
                        return True
            except OSError:
                continue  # most packages declare no entry points
    return False


def import_events() -> None:
    """Import gevent.events, with a stand-in for pkg_resources while that lasts, unless it is there already."""
    if "pkg_resources" in sys.modules or "gevent.events" in sys.modules:
        return
    any_plugins: list[bool] = []

    def iter_entry_points(group: str, name: str | None = None) -> Iterator[Any]:
        if not any_plugins:
            any_plugins.append(any(_mentions_plugins(folder or ".") for folder in sys.path))
        found: Iterable[Any] = ()
        if any_plugins[0]:
            from importlib.metadata import entry_points

            found = entry_points(group=group)
        return iter([point for point in found if name in (None, point.name)])

    stand_in = ModuleType("pkg_resources")
    stand_in.iter_entry_points = iter_entry_points  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stand_in
    try:
        import gevent.events  # noqa: F401
    finally:
        del sys.modules["pkg_resources"]
