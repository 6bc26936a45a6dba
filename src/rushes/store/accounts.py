"""Accounts and their keys."""

from __future__ import annotations

from rushes import ids
from rushes.errors import InvalidRequest
from rushes.model import Account, Key
from rushes.store import Rows, Transaction

_LONGEST_NAME = 100

_BY_NAME = "SELECT id, name, revision FROM accounts WHERE name = :name"
_NAME = "SELECT name FROM accounts WHERE id = :id"
_PRIORITIES = "SELECT name, priority FROM accounts"
_TWO = "SELECT 1 FROM accounts LIMIT 2"
_ADD = """
INSERT INTO accounts (id, name, created, revision) VALUES (:id, :name, :now, 0) ON CONFLICT (name) DO NOTHING
"""
_OF_KEY = """
SELECT accounts.id, accounts.name, accounts.revision
FROM keys JOIN accounts ON accounts.id = keys.account_id
WHERE keys.hash = :hash AND keys.revoked IS NULL
"""
# The lock on the row makes the order of revisions the order of commits: no reader sees a later one first.
_CHANGED = "UPDATE accounts SET revision = revision + 1 WHERE id = :id RETURNING revision"
_ADD_KEY = """
INSERT INTO keys (id, hash, account_id, label, created) VALUES (:id, :hash, :account_id, :label, :now)
"""
_REVOKE_KEY = "UPDATE keys SET revoked = :now WHERE id = :id AND revoked IS NULL RETURNING id"
_HAS_KEY = "SELECT 1 FROM keys WHERE id = :id"
_KEYS = """
SELECT keys.id, accounts.name, keys.label, keys.created, keys.revoked
FROM keys JOIN accounts ON accounts.id = keys.account_id ORDER BY keys.created, keys.id
"""


async def named(tx: Transaction, name: str) -> Account:
    """The account of that name, made if it is new.

    Raises:
        InvalidRequest: nobody could tell that name from another in a list.
    """
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidRequest(
            f"An account cannot be named {name!r}: a name has 1 to {_LONGEST_NAME} printable characters, and no space "
            "at its ends."
        )
    await tx.rows(_ADD, id=ids.uuid(), name=name, now=tx.now)
    [row] = await tx.rows(_BY_NAME, name=name)
    return Account(*row)


async def find(sql: Rows, name: str) -> Account | None:
    """The account of that name, if there is one."""
    found = await sql.rows(_BY_NAME, name=name)
    return Account(*found[0]) if found else None


async def name_of(sql: Rows, account_id: str) -> str | None:
    """What the account of that id is called, if there is one."""
    found = await sql.rows(_NAME, id=account_id)
    return found[0][0] if found else None


async def at_most_one(sql: Rows) -> bool:
    """Whether there are no two accounts."""
    return len(await sql.rows(_TWO)) < 2


async def priorities(sql: Rows) -> dict[str, int]:
    """The priority of every account, by its name."""
    return {name: int(priority) for name, priority in await sql.rows(_PRIORITIES)}


async def of_key(sql: Rows, key: str) -> Account | None:
    """The account a key opens now; ``None`` for an unknown or revoked one."""
    found = await sql.rows(_OF_KEY, hash=ids.key_hash(key))
    return Account(*found[0]) if found else None


async def changed(tx: Transaction, account_id: str) -> int:
    """Note that the account's lists will show something else; return its new revision."""
    [(revision,)] = await tx.rows(_CHANGED, id=account_id)
    return int(revision)


async def add_key(tx: Transaction, account: Account, key: str, label: str) -> str:
    """Keep a key's hash; return the id it is revoked by."""
    key_id = ids.uuid()
    await tx.rows(_ADD_KEY, id=key_id, hash=ids.key_hash(key), account_id=account.id, label=label, now=tx.now)
    return key_id


async def revoke_key(tx: Transaction, key_id: str) -> bool:
    """Close a key for good; ``False`` when there is none of that id. A repeat changes nothing."""
    return bool(await tx.rows(_REVOKE_KEY, id=key_id, now=tx.now) or await tx.rows(_HAS_KEY, id=key_id))


async def keys(sql: Rows) -> list[Key]:
    """Every key ever made, oldest first."""
    return [Key(*row) for row in await sql.rows(_KEYS)]
