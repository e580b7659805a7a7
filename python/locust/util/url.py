"""Telling URLs from file names."""

from __future__ import annotations


def is_url(url: str) -> bool:
    """Whether this is an http or https URL with a host."""
    scheme, mark, rest = url.partition("://")
    return bool(mark) and scheme.lower() in ("http", "https") and bool(rest) and rest[0] not in "/?#"
