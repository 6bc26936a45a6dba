"""Rushes: a self-hosted AI video studio that speaks the Pictory AI Studio API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rushes.client import AsyncClient, Client

__version__ = "0.1.0"

__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> object:
    # The server imports this package too, and a command must start at once: the client comes when it is asked for.
    if name in ("AsyncClient", "Client"):
        from rushes import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
