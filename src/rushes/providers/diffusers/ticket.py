"""A ticket: all that is needed to make an order on this machine, at any time, after its input files are gone.

It holds the order and not a place where the order lies, so nothing but Rushes' own database has to last: what a
folder holds of it (a progress, a result) may be lost at any moment, and is then made again, alike.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rushes.model import Kind


@dataclass(frozen=True, slots=True)
class Ticket:
    """One accepted order."""

    job_id: str
    id: str
    """The model: a folder of this machine, or its name on the hub."""
    pipeline: str
    variant: str | None
    kind: Kind
    prompt: str
    negative_prompt: str | None
    width: int
    height: int
    frames: int
    """How many are delivered; 1 for an image."""
    fps: int
    steps: int | None
    guidance: float | None
    seed: int
    extra: dict[str, Any] = field(default_factory=dict)
    opening: tuple[bytes, ...] = ()
    """Pictures of exactly the video's size, encoded: a first frame, or the last frames of the video to extend."""

    @property
    def text(self) -> str:
        """It as JSON."""
        facts = asdict(self)
        facts["opening"] = [base64.b64encode(picture).decode() for picture in self.opening]
        return json.dumps(facts)


def from_text(text: str) -> Ticket:
    """The ticket of that text."""
    facts = json.loads(text)
    facts["kind"] = Kind(facts["kind"])
    facts["opening"] = tuple(base64.b64decode(picture) for picture in facts["opening"])
    known = {each.name for each in fields(Ticket)}
    return Ticket(**{name: value for name, value in facts.items() if name in known})


def seed_of(job_id: str) -> int:
    """A seed of the job's own: made again, it comes out alike."""
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:4])
