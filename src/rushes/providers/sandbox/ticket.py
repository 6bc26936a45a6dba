"""A ticket: all that is needed to draw an order anywhere, at any time, after its input files are gone."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass

from rushes.model import Kind


@dataclass(frozen=True, slots=True)
class Ticket:
    """One accepted order. ``submitted`` is seconds since 1970; pictures are encoded image files.

    ``opening`` has exactly the video's size and is its first frame; ``seconds`` is 0 and ``style`` may be given for an
    image.
    """

    model: str
    prompt: str
    width: int
    height: int
    seconds: int
    submitted: float
    opening: bytes | None = None
    references: tuple[bytes, ...] = ()
    kind: Kind = Kind.VIDEO
    style: str | None = None

    @property
    def seed(self) -> str:
        """What decides everything that the prompt's words leave open; a style changes none of it."""
        return f"{self.model}\n{self.seconds}\n{self.prompt}"


def to_text(ticket: Ticket) -> str:
    """The ticket as JSON."""
    facts = asdict(ticket)
    facts["opening"] = ticket.opening and base64.b64encode(ticket.opening).decode()
    facts["references"] = [base64.b64encode(reference).decode() for reference in ticket.references]
    return json.dumps(facts)


def from_text(text: str) -> Ticket:
    """The ticket that :func:`to_text` wrote, now or when there were only videos."""
    facts = json.loads(text)
    facts["kind"] = Kind(facts.get("kind", Kind.VIDEO))
    facts["opening"] = facts["opening"] and base64.b64decode(facts["opening"])
    facts["references"] = tuple(base64.b64decode(reference) for reference in facts["references"])
    return Ticket(**facts)
