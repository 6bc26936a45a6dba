"""A ticket: all that is needed to draw an order anywhere, at any time, after its input files are gone."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Ticket:
    """One accepted order. ``submitted`` is seconds since 1970; pictures are encoded image files.

    ``opening`` has exactly the video's size and is its first frame.
    """

    model: str
    prompt: str
    width: int
    height: int
    seconds: int
    submitted: float
    opening: bytes | None = None
    references: tuple[bytes, ...] = ()


def to_text(ticket: Ticket) -> str:
    """The ticket as JSON."""
    facts = asdict(ticket)
    facts["opening"] = ticket.opening and base64.b64encode(ticket.opening).decode()
    facts["references"] = [base64.b64encode(reference).decode() for reference in ticket.references]
    return json.dumps(facts)


def from_text(text: str) -> Ticket:
    """The ticket that :func:`to_text` wrote."""
    facts = json.loads(text)
    facts["opening"] = facts["opening"] and base64.b64decode(facts["opening"])
    facts["references"] = tuple(base64.b64decode(reference) for reference in facts["references"])
    return Ticket(**facts)
