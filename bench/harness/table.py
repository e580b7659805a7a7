"""Tables that read well on a terminal and are Markdown at the same time."""

from __future__ import annotations

import math


def table(head: list[str], rows: list[list[str]]) -> str:
    """The first column to the left, the others to the right; errors may stick out."""
    fitted = [head, *([row[0], *("" if cell.startswith("error:") else cell for cell in row[1:])] for row in rows)]
    widths = [max(len(row[i]) for row in fitted) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        padded = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def ratio(value: float | None, base: float | None) -> str:
    return f"{value / base:.2f}" if value and base else "–"


def error_row(name: str, width: int, text: object) -> list[str]:
    text = " ".join(str(text).replace("|", "/").split())
    return [name, f"error: {text[:120]}"] + [""] * (width - 2)


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: list[float]) -> float:
    return percentile(values, 0.5)
