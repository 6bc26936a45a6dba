"""What a benchmark found: one line of the table of figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """Ours beside a peer's or a floor's in the same run. ``ratio``: how many times better ours is."""

    name: str
    ours: str
    peer: str
    ratio: float
    target: str
    note: str


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = [("figure", "ours", "peer", "ratio", "target", "note"), ("---",) * 6]
    rows += [(f.name, f.ours, f.peer, f"{f.ratio:.2f}", f.target, f.note) for f in figures]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
