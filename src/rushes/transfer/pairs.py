"""Two ordered lists walked side by side, however long they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import PurePosixPath
from typing import NamedTuple, TypeVar

from rushes import ids
from rushes.blobs import Blobs
from rushes.model import FILES, Kind

L = TypeVar("L")
R = TypeVar("R")

Key = tuple[str, str]
"""An account, and the uuid in the names of an item's files."""
_UUID = 36


class Group(NamedTuple):
    """The files in storage that lie together because their names begin with one uuid."""

    key: Key
    sizes: dict[str, int]
    """Bytes, by name."""


async def paired(
    left: AsyncIterator[L], right: AsyncIterator[R], left_key: Callable[[L], Key], right_key: Callable[[R], Key]
) -> AsyncIterator[tuple[L | None, R | None]]:
    """What has the same key in both lists, or is in one of them alone. Both come in the order of their keys."""
    one, other = await anext(left, None), await anext(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and left_key(one) < right_key(other)):
            yield one, None
            one = await anext(left, None)
        elif one is None or right_key(other) < left_key(one):
            yield None, other
            other = await anext(right, None)
        else:
            yield one, other
            one, other = await anext(left, None), await anext(right, None)


async def groups(blobs: Blobs, prefix: str) -> AsyncGenerator[Group, None]:
    """The files below ``<prefix>/<account>/``, each with those of the same uuid. What has no such name has the key
    ``("", name)`` and is alone.
    """
    group: Group | None = None
    async with aclosing(blobs.listed(prefix)) as files:
        async for name, size in files:
            key = key_of(name, prefix)
            if group and key == group.key:
                group.sizes[name] = size
                continue
            if group:
                yield group
            group = Group(key, {name: size})
    if group:
        yield group


def key_of(name: str, prefix: str) -> Key:
    """Whose the file of that name is, and its uuid; ``("", name)`` where the name says neither."""
    path = PurePosixPath(name)
    account_id, file_id = path.parent.name, path.name[:_UUID]
    is_ours = str(path.parent.parent) == prefix and ids.is_uuid(account_id) and ids.is_uuid(file_id)
    return (account_id, file_id) if is_ours else ("", name)


def folder_of(kind: Kind) -> str:
    """Below which the files of a kind lie, by account."""
    name = next(iter(FILES[kind]("account", "file").links.values()))
    return str(PurePosixPath(name).parent.parent)
