"""``/healthz``, ``/readyz`` and ``/metrics``: for whoever watches over the process; no key."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from rushes import metrics as counted
from rushes.api.answers import answer
from rushes.errors import Unavailable
from rushes.store import Row, Rows, budgets, credits
from rushes.store.jobs import IN_LINE
from rushes.studio import Studio

_UNDER_WAY = f"""
SELECT state, kind, model, count(*), $now - min(created), $now - min(run_at) FROM (
    SELECT state, kind, model, created, run_at FROM jobs WHERE run_at IS NOT NULL
    UNION ALL SELECT state, kind, model, created, created FROM jobs WHERE {IN_LINE}
) AS under_way GROUP BY state, kind, model
"""  # noqa: S608
_WEBHOOKS = "SELECT count(*), coalesce($now - min(created), 0) FROM deliveries WHERE run_at IS NOT NULL"

_SECONDS = 2.0


async def alive(request: Request) -> Response:
    """The process is up and answers."""
    return answer({"status": "ok"})


async def ready(request: Request) -> Response:
    """The database answers and the storage takes a file; if not, which and why."""
    studio: Studio = request.state.studio
    state = {
        "database": await _state(studio.store.rows("SELECT 1")),
        "storage": await _state(studio.blobs.check()),
    }
    if set(state.values()) == {"ok"}:
        return answer({"status": "ok", **state})
    return answer({"status": "unavailable", **state}, 503, {"retry-after": "5"})


async def metrics(request: Request) -> Response:
    """In Prometheus's text format: what waits and what the month has cost, of the whole installation; and what the
    processes of this ``rushes serve`` have counted.
    """
    studio: Studio = request.state.studio
    async with studio.store.snapshot() as sql:
        families = [
            *_jobs(await sql.rows(_UNDER_WAY)),
            *_webhooks(*(await sql.rows(_WEBHOOKS))[0]),
            *await _money(sql, studio),
        ]
    text = await asyncio.to_thread(_text, families)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _text(families: list[GaugeMetricFamily]) -> bytes:
    figures = CollectorRegistry()
    figures.register(_Figures(families))
    return generate_latest(figures) + generate_latest(counted.registry())


class _Figures(Collector):
    """Figures of this moment: gauges of the library's own would be kept, and summed with those of other processes."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families


def _jobs(rows: Iterable[Row]) -> list[GaugeMetricFamily]:
    labels = ["state", "kind", "model"]
    count = GaugeMetricFamily("rushes_jobs", "Jobs under way.", labels=labels)
    age = GaugeMetricFamily("rushes_job_age_seconds", "How long ago the oldest of them was asked for.", labels=labels)
    longest = 0
    for state, kind, model, jobs, oldest, due in rows:
        count.add_metric([state, kind, model], jobs)
        age.add_metric([state, kind, model], max(0, oldest) / 1000)
        longest = max(longest, due)
    return [count, age, _one("rushes_oldest_due_job_seconds", "How long the longest due job has been due.", longest)]


def _webhooks(due: int, oldest: int) -> list[GaugeMetricFamily]:
    count = GaugeMetricFamily("rushes_webhooks_due", "Webhook deliveries still to be made.", due)
    return [count, _one("rushes_webhook_age_seconds", "How long ago the oldest of them was due first.", oldest)]


def _one(name: str, told: str, milliseconds: int) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, max(0, milliseconds) / 1000)


async def _money(sql: Rows, studio: Studio) -> list[GaugeMetricFamily]:
    """Of this month; by provider, and all accounts together: there may be thousands of them."""
    [(now,)] = await sql.rows("SELECT $now")
    balances = [each for _, each in await credits.balances(sql, studio.config.credits_per_month, now)]
    units = GaugeMetricFamily("rushes_credits", "AI credits of this month, of all accounts.", labels=["what"])
    units.add_metric(["spent"], float(sum(each.spent for each in balances)))
    units.add_metric(["held"], float(sum(each.held for each in balances)))
    dollars = GaugeMetricFamily("rushes_dollars", "US dollars of this month.", labels=["provider", "what"])
    for purse in await budgets.purses(sql, now):
        kind, _, name = purse.scope.partition(" ")
        if kind == "provider":
            dollars.add_metric([name, "spent"], float(purse.spent))
            dollars.add_metric([name, "held"], float(purse.held))
    return [units, dollars]


async def _state(question: Coroutine[Any, Any, object]) -> str:
    """How it stands, soon: whoever asks gives up after a few seconds, and takes that for a dead process."""
    asking = asyncio.create_task(question)
    answered, _ = await asyncio.wait({asking}, timeout=_SECONDS)
    if not answered:  # it may take a while to let go of what does not answer
        asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        asking.cancel()
        return f"It did not answer within {_SECONDS:g} seconds."
    try:
        asking.result()
    except Unavailable as error:
        return error.sentence
    return "ok"
