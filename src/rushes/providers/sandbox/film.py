"""A ticket drawn: the frames of the film, one after the other, and the MP4."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from rushes.media.encode import Planes, encode
from rushes.providers.sandbox import colour
from rushes.providers.sandbox.cards import Cards
from rushes.providers.sandbox.lettering import lettering
from rushes.providers.sandbox.overlay import Overlay
from rushes.providers.sandbox.picture import MovingPicture, blank
from rushes.providers.sandbox.ticket import Ticket

FPS = 24

_OPENING = 26
"""Frames in which a given opening frame gives way to the moving picture."""
_BARE = 12
"""Frames before the lettering appears over an opening frame: an extended video's own lettering goes first."""
_APPEARING = 12
"""Frames until it is all there."""
_DOLLY = 0.07
"""How much closer the opening frame comes while it fades."""


def draw(ticket: Ticket, to: Path) -> None:
    """Write the ticket's MP4 to ``to``: the same ticket, whenever submitted, gives the same bytes."""
    write(frames(ticket), ticket, to)


def write(drawn: Iterable[Planes], ticket: Ticket, to: Path) -> None:
    """Encode the frames ``drawn`` for ``ticket``."""
    x264: dict[str, str | int] = {"keyint": 2 * FPS, "scenecut": 0}
    if ticket.opening is not None:
        # The first frame is a promise: nearly lossless, whatever it costs. x264 heeds a first frame's zone only
        # where it need not guess how complex the film is, which qcomp=1 spares it.
        x264 |= {"zones": "0,0,q=8", "qcomp": 1}
    encode(drawn, to, width=ticket.width, height=ticket.height, fps=FPS, crf=20, x264=x264)


def frames(ticket: Ticket) -> Iterator[Planes]:
    """The film's frames, all drawn into the same arrays: use each before asking for the next."""
    size, count = (ticket.width, ticket.height), ticket.seconds * FPS
    scene = MovingPicture(ticket.prompt, ticket.seed, *size, count)
    words = Overlay(lettering(ticket.model, ticket.prompt, scene.theme.palette.low, *size))
    cards = Cards(ticket.references, *size)
    opening = _Opening(ticket.opening) if ticket.opening is not None else None
    canvas = blank(*size)
    for number in range(count):
        scene.paint(canvas, number)
        strength = 1.0
        if opening is not None:
            opening.blend(canvas, number)
            strength = min(1.0, max(0.0, (number - _BARE + 1) / _APPEARING))
        if strength > 0:
            words.blend(canvas, strength)
            cards.blend(canvas, number, strength)
        yield canvas


class _Opening:
    """The given first frame: itself at first, then closer and fainter."""

    def __init__(self, encoded: bytes) -> None:
        with Image.open(io.BytesIO(encoded)) as picture:
            self._planes = colour.planes(picture)

    def blend(self, canvas: Planes, number: int) -> None:
        if number < _OPENING:
            share = number / _OPENING
            eased = share * share * (3 - 2 * share)
            for plane, given in zip(canvas, self._planes, strict=True):
                _fade(plane, _closer(given, 1 + _DOLLY * eased), round(256 * (1 - eased)))


def _closer(plane: np.ndarray, zoom: float) -> np.ndarray:
    height, width = plane.shape
    x, y = width * (1 - 1 / zoom) / 2, height * (1 - 1 / zoom) / 2
    near = Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR, (x, y, width - x, height - y))
    return np.asarray(near)


def _fade(plane: np.ndarray, given: np.ndarray, share: int) -> None:
    mixed = plane * np.uint16(256 - share)
    mixed += given * np.uint16(share)
    mixed >>= 8
    plane[:] = mixed
