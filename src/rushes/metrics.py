"""What each process counts. ``/metrics`` shows the sum of all the processes that one ``rushes serve`` started.

They meet in the folder that ``PROMETHEUS_MULTIPROC_DIR`` names, which ``serve`` sets before it starts them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from rushes.errors import StartError

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
_SLOW = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600)

_BATCH, _FLUSH_SECONDS = 64, 0.2
_answered: list[tuple[str, str, int, float]] = []
_REQUEST_SECONDS = Histogram(
    "rushes_request_seconds",
    "Requests answered, and the seconds from a request's head to the end of its answer.",
    ["route", "method", "status"],
    buckets=_FAST,
)
_CALLS = Counter(
    "rushes_provider_calls", "Questions to providers, by what came of them.", ["provider", "call", "outcome"]
)
_CALL_SECONDS = Histogram("rushes_provider_seconds", "How long they took.", ["provider", "call"], buckets=_SLOW)
_JOBS = Counter("rushes_jobs_ended", "Jobs that ended, by how.", ["model", "outcome"])
_JOB_SECONDS = Histogram(
    "rushes_job_seconds", "From the request to the library, of jobs that went well.", ["model"], buckets=_SLOW
)
_CREDITS = Counter("rushes_credits_charged", "AI credits charged.", ["model"])
_WEBHOOKS = Counter("rushes_webhook_tries", "Webhooks sent, by what came of it.", ["outcome"])
_UNAVAILABLE = Counter("rushes_unavailable", "Times that something did not work that all else rests on.", ["what"])


def registry() -> CollectorRegistry:
    """What was counted: by every process that shares the folder, or by this one alone."""
    flush()
    if FOLDER not in os.environ:
        return REGISTRY
    everything = CollectorRegistry()
    MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
    return everything


@contextmanager
def shown(address: str | None) -> Iterator[None]:
    """Serve what this process counts at ``host:port``, at ``/metrics`` and any other path, during the block.

    Raises:
        StartError: the address is taken.
    """
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), REGISTRY)
    except (OSError, OverflowError) as error:
        raise StartError(f"The address {address} of RUSHES_WORKER_METRICS cannot be used ({error}).") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answered(route: str, method: str, status: int, seconds: float) -> None:
    """A request was answered. It is counted soon, together with others: one by one costs several times as much."""
    if not _answered:
        asyncio.get_running_loop().call_later(_FLUSH_SECONDS, flush)
    _answered.append((route, method, status, seconds))
    if len(_answered) >= _BATCH:
        flush()


def flush() -> None:
    """Count the requests that were answered until now."""
    for route, method, status, seconds in _answered:
        _of_route(route, method, status).observe(seconds)
    _answered.clear()


@cache
def _of_route(route: str, method: str, status: int) -> Histogram:
    # Found once: to look for a label costs more than to count.
    return _REQUEST_SECONDS.labels(route, method, str(status))


class Told:
    """What comes of a question."""

    outcome = "ok"


@contextmanager
def asking(provider: str, call: str) -> Iterator[Told]:
    """Count a question to a provider; its outcome is ``told`` inside the block, or the name of what it raises."""
    told, begun = Told(), time.monotonic()
    try:
        yield told
    except BaseException as error:  # counted whatever it is, and raised again
        told.outcome = getattr(error, "code", None) or type(error).__name__
        raise
    finally:
        _CALLS.labels(provider, call, told.outcome).inc()
        _CALL_SECONDS.labels(provider, call).observe(time.monotonic() - begun)


def job_ended(model: str, outcome: str) -> None:
    """A job ended, as ``completed`` or with a code."""
    _JOBS.labels(model, outcome).inc()


def job_entered(model: str, credits: float, seconds: float) -> None:
    """A job's item entered the library, and was charged."""
    _JOB_SECONDS.labels(model).observe(seconds)
    _CREDITS.labels(model).inc(credits)


def webhook_tried(outcome: str) -> None:
    """A webhook was sent, once."""
    _WEBHOOKS.labels(outcome).inc()


def unavailable(what: str) -> None:
    """The ``storage`` or the ``database`` could not be used."""
    _UNAVAILABLE.labels(what).inc()
