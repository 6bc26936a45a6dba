"""A ticket for an image drawn: the picture in its style, the lettering and the card on it, and the PNG."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from rushes.media.stills import save_png
from rushes.providers.sandbox.cards import cards
from rushes.providers.sandbox.lettering import lettering
from rushes.providers.sandbox.picture import MovingPicture
from rushes.providers.sandbox.styles import PLAIN, STYLES
from rushes.providers.sandbox.ticket import Ticket
from rushes.providers.sandbox.view import view

_SMALLER = 0.7
"""Lettering beside a film's: a still is looked at longer."""


def draw(ticket: Ticket, to: Path) -> None:
    """Write the ticket's PNG to ``to``: the same ticket, whenever submitted, gives the same bytes."""
    save_png(picture(ticket), to)


def picture(ticket: Ticket) -> Image.Image:
    """What the ticket's image shows: in the style the picture, over it in no style what was given."""
    size = ticket.width, ticket.height
    style = STYLES[ticket.style] if ticket.style else PLAIN
    scene = MovingPicture(ticket.prompt, ticket.seed, *size, frames=1)
    painted = style.paint(view(scene))
    words = lettering(ticket.model, ticket.prompt, scene.theme.palette.low, *size, style.inks, _SMALLER)
    for sheet in (*cards(ticket.references, *size), words):
        sheet.lay(painted)
    return painted
