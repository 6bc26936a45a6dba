"""Frames as they were ordered: cut to size and length, and written as an MP4 or a PNG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.errors import ProviderFailed
from rushes.model import Kind
from rushes.providers.diffusers.ticket import Ticket

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_CRF = 16
_PRESET = "veryfast"


def deliver(made: NDArray[np.float32], ticket: Ticket, to: Path) -> None:
    """Write the ticket's file to ``to``, whole or not at all. What was made may be larger all around, and longer: its
    middle is taken, and its beginning.

    Raises:
        ProviderFailed: it is smaller or shorter.
    """
    if len(made) < ticket.frames or made.shape[1] < ticket.height or made.shape[2] < ticket.width:
        raise ProviderFailed(f"The model made {made.shape[2]} x {made.shape[1]}, {len(made)} frames: too little.")
    part = to.with_name(f".{to.name}")
    pictures = _cut(made, ticket)
    if ticket.kind is Kind.IMAGE:
        next(pictures).save(part, "PNG")
    else:
        _film(pictures, ticket, part)
    part.replace(to)


def _cut(made: NDArray[np.float32], ticket: Ticket) -> Iterator[Image]:
    from PIL import Image

    top, left = (made.shape[1] - ticket.height) // 2, (made.shape[2] - ticket.width) // 2
    for frame in made[: ticket.frames, top : top + ticket.height, left : left + ticket.width]:
        yield Image.fromarray((frame * 255).round().clip(0, 255).astype("uint8"))


def _film(pictures: Iterator[Image], ticket: Ticket, to: Path) -> None:
    from rushes.media.encode import encode
    from rushes.providers.sandbox.colour import planes

    encode(
        (planes(picture) for picture in pictures),
        to,
        width=ticket.width,
        height=ticket.height,
        fps=ticket.fps,
        crf=_CRF,
        preset=_PRESET,
    )
