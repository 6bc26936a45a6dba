"""``/quota`` and ``/aicredits/usage``: what an account may spend, and what it has."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from rushes import wire
from rushes.api import auth
from rushes.api.answers import answer, tagged
from rushes.api.query import checked, parameters, whole_number
from rushes.errors import InvalidQuery
from rushes.store import credits
from rushes.studio import Studio


async def quota(request: Request) -> Response:
    """``GET /quota``: this month's AI credits; what else the vendor counts is nothing here."""
    studio: Studio = request.state.studio
    account = await auth.account(studio, dict(request.scope["headers"]))
    limit = studio.config.credits_per_month
    return answer(wire.quota(await credits.balance(studio.store, account.id, limit, await studio.now())))


async def usage(request: Request) -> Response:
    """``GET /aicredits/usage``: a month of the ledger, newest first."""
    studio: Studio = request.state.studio
    account = await auth.account(studio, dict(request.scope["headers"]))
    start, end = _month(request.scope["query_string"], await studio.now())
    lines: list[str] = []
    # There are no pages, and a busy month has hundreds of thousands of lines: others have their turn between some.
    async for some in credits.entries(studio.store, account.id, start, end):
        lines += (wire.dumps(wire.ledger_entry(entry)) for entry in some)
        await asyncio.sleep(0)
    return tagged(request, f"[{','.join(lines)}]".encode())


def _month(query: bytes, now: int) -> tuple[int, int]:
    """The month asked for, from its first millisecond to before the next one's: this one, or a named one."""
    asked = checked(parameters(query), {"year": lambda text: whole_number(text, 1970, 9998), "month": _number})
    if "year" in asked and "month" not in asked:
        complaint = "must be sent with the year"
        raise InvalidQuery("A year alone names no month; send month with it.", {"month": complaint})
    today = datetime.fromtimestamp(now / 1000, UTC)
    year, month = int(str(asked.get("year", today.year))), int(str(asked.get("month", today.month)))
    start, end = datetime(year, month, 1, tzinfo=UTC), datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(start.timestamp() * 1000), int(end.timestamp() * 1000)


def _number(text: str) -> int:
    return whole_number(text, 1, 12)
