"""Traces by OpenTelemetry: from a request through its job's steps, in whichever process, to its provider's answers.

Nothing is traced unless ``OTEL_EXPORTER_OTLP_ENDPOINT`` says where spans go and the extra ``otel`` is there. The rest
of its variables (``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER`` …) are the SDK's own.
"""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from rushes.logs import redacted

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer
    from starlette.types import Scope

log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracer: Tracer | None = None


def start() -> None:
    """Send this process's spans from now on, where that is wanted."""
    global _tracer  # noqa: PLW0603  (one of a process, as the SDK's own)
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("nothing is traced: OTEL_EXPORTER_OTLP_ENDPOINT needs pip install 'rushes[otel]'")
        return
    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "rushes")})
    provider = TracerProvider(resource=resource)  # it sends what is left when the process ends
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("rushes")


def is_on() -> bool:
    """Whether anything is traced."""
    return _tracer is not None


def request(scope: Scope) -> AbstractContextManager[object]:
    """The span of a request, a part of the trace that its headers name."""
    if _tracer is None:
        return nullcontext()
    from opentelemetry.trace import SpanKind

    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    told = {
        "http.request.method": scope["method"],
        "url.path": redacted(scope["path"]),
        "request_id": scope.get("request_id", ""),
    }
    return _span(_tracer, scope["method"], headers, told, SpanKind.SERVER)


def answered(scope: Scope, status: int) -> None:
    """Name the present span after the route, now that it is known, and say how it was answered."""
    if _tracer is None:
        return
    from opentelemetry.trace import Status, StatusCode, get_current_span

    span = get_current_span()
    if route := scope.get("route_path"):
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def step(name: str, trace: str | None = None, **about: str | None) -> AbstractContextManager[object]:
    """The span of a step; where it goes on with a ``trace`` that began elsewhere, a part of that."""
    if _tracer is None:
        return nullcontext()
    told = {what: value for what, value in about.items() if value}
    return _span(_tracer, name, {"traceparent": trace} if trace else {}, told)


def _span(
    tracer: Tracer, name: str, carrier: dict[str, str], told: dict[str, str], kind: Any = None
) -> AbstractContextManager[object]:
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(carrier) if carrier else None
    return tracer.start_as_current_span(name, context, kind or SpanKind.INTERNAL, told)


def here() -> str | None:
    """The present span, as ``traceparent`` names it to whoever goes on."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")
