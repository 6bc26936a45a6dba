"""``/healthz``, ``/readyz`` and ``/metrics``: for whoever watches over the process; no key."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from rushes.api.answers import answer
from rushes.errors import Unavailable
from rushes.studio import Studio

_UNDER_WAY = """
SELECT state, kind, count(*) FROM jobs WHERE run_at IS NOT NULL OR (state = 'queued' AND run_at IS NULL)
GROUP BY state, kind
"""
_DUE = """
SELECT (SELECT $now - min(run_at) FROM jobs WHERE run_at IS NOT NULL),
    (SELECT count(*) FROM deliveries WHERE run_at IS NOT NULL)
"""


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
    """What waits, in Prometheus's text format: of the whole installation, so any process may be asked."""
    studio: Studio = request.state.studio
    registry = CollectorRegistry()
    jobs_waiting = Gauge("rushes_jobs", "Jobs under way, by state and kind.", ["state", "kind"], registry=registry)
    oldest = Gauge("rushes_oldest_due_job_seconds", "How long the longest due job has been due.", registry=registry)
    deliveries = Gauge("rushes_webhooks_due", "Webhook deliveries still to be made.", registry=registry)
    for state, kind, count in await studio.store.rows(_UNDER_WAY):
        jobs_waiting.labels(state, kind).set(count)
    [(late_ms, due)] = await studio.store.rows(_DUE)
    oldest.set(max(0, late_ms or 0) / 1000)
    deliveries.set(due)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


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
