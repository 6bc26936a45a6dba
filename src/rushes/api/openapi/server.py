"""What is at the root, for whoever watches over the server or reads about it."""

from __future__ import annotations

from rushes.api.openapi.operation import ALWAYS, Operation, Paths, ok, operation
from rushes.api.openapi.responses import given, page, refused

_PAGE = ("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy")


def server() -> Paths:
    """Health, figures, and this document."""
    return {
        "/healthz": {"get": _health()},
        "/readyz": {"get": _readiness()},
        "/metrics": {"get": _metrics()},
        "/openapi.json": {"get": _document()},
        "/docs": {"get": _docs()},
    }


def _health() -> Operation:
    answered = ok(given("It answers.", "Health", {"status": "ok"}), ALWAYS[:3])
    return operation("check_health", "Server", "Is it up?", "The process is up and answers.", answered, security=[])


def _readiness() -> Operation:
    well = {"status": "ok", "database": "ok", "storage": "ok"}
    badly = {**well, "status": "unavailable", "database": "The database does not answer."}
    answered = {
        "200": given("It can.", "Readiness", well),
        "503": given("It cannot; which part, and why.", "Readiness", badly, "Retry-After"),
        **refused(ALWAYS[:3]),
    }
    told = "The database answers and the storage takes files."
    return operation("check_readiness", "Server", "Can it work?", told, answered, security=[])


def _metrics() -> Operation:
    told = "What waits, in Prometheus's text format: of the whole installation, so any process may be asked."
    answered = {"200": page("The figures.", "text/plain"), **refused(ALWAYS)}
    return operation("get_metrics", "Server", "Get figures", told, answered, security=[])


def _document() -> Operation:
    answered = {
        "200": given("The document.", {"type": "object"}, {"openapi": "3.1.0"}),
        **refused(ALWAYS[:3]),
    }
    told = "This description of the API in OpenAPI 3.1, with the models that this server offers."
    return operation("get_openapi", "Server", "Get this document", told, answered, security=[])


def _docs() -> Operation:
    answered = {"200": page("The page.", "text/html", *_PAGE), **refused(ALWAYS[:3])}
    return operation("show_docs", "Server", "Read this document", "The same as a page to read.", answered, security=[])
