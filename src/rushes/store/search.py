"""Stand-in until the index lands."""

from __future__ import annotations

from rushes.model import Kind
from rushes.paging import SortKey
from rushes.store import Store, Transaction


async def add(
    tx: Transaction, kind: Kind, account_id: str, created: int, id: str, prompt: str, model: str, aspect_ratio: str
) -> None:
    """Index."""


async def remove(tx: Transaction, kind: Kind, account_id: str, created: int, id: str) -> None:
    """Forget."""


async def page(
    store: Store,
    kind: Kind,
    account_id: str,
    terms: tuple[str, ...],
    *,
    model: str | None,
    aspect_ratio: str | None,
    created_after: int | None,
    created_before: int | None,
    after: SortKey | None,
    size: int,
) -> list[bytes]:
    """Page."""
    return []


async def catch_up(tx: Transaction, limit: int) -> int:
    """Index more."""
    return 0
