"""What an order is answered with: what was drawn, or what the prompt asks to be made of it."""

from __future__ import annotations

from pathlib import Path

from rushes.model import Kind
from rushes.providers.sandbox import film, still
from rushes.providers.sandbox.orders import AT_DOWNLOAD, wishes
from rushes.providers.sandbox.ticket import Ticket

_DRAW = {Kind.VIDEO: film.draw, Kind.IMAGE: still.draw}


def deliver(ticket: Ticket, to: Path) -> None:
    """Draw the ticket's MP4 or PNG into ``to``, and spoil it where the prompt asks."""
    _DRAW[ticket.kind](ticket, to)
    for word in wishes(ticket.prompt).words:
        if word in AT_DOWNLOAD:
            to.write_bytes(AT_DOWNLOAD[word](to.read_bytes()))
