"""One class a meaning (contract A6), with all that the answer tells of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from rushes import Client, errors
from rushes.errors import RushesError
from tests.servers.vendor import Answer, Vendor, instead, told

FIELDS = [{"name": "duration", "errors": "must be text"}, {"name": "prompt", "errors": "is too short"}]
BY_NAME = {"duration": "must be text", "prompt": "is too short"}


def raised(vendor: Vendor, client: Client, answer: Answer, method: str = "GET") -> RushesError:
    vendor.always(method, "/any", instead(answer))
    with pytest.raises(RushesError) as caught:
        client.ask(method, "/any", tries=1)
    return caught.value


def coded(code: str) -> dict[str, object]:
    return {"code": code, "message": "What happened; what to do."}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, coded("INVALID_REQUEST_BODY"), errors.InvalidBody, "INVALID_REQUEST_BODY"),
        (400, coded("INVALID_REQUEST"), errors.InvalidRequest, "INVALID_REQUEST"),
        (400, {"message": "No."}, errors.InvalidRequest, "INVALID_REQUEST"),
        (401, {"message": "Unauthorized"}, errors.Unauthorized, "UNAUTHORIZED"),
        (403, {"message": "Forbidden"}, errors.Unauthorized, "UNAUTHORIZED"),
        (402, coded("INSUFFICIENT_CREDITS"), errors.InsufficientCredits, "INSUFFICIENT_CREDITS"),
        (402, coded("BUDGET_EXCEEDED"), errors.BudgetExceeded, "BUDGET_EXCEEDED"),
        (404, {"message": "Not Found"}, errors.NotFound, "NOT_FOUND"),
        (
            404,
            {"job_id": "j", "success": False, "data": {"error_code": "5000", "error_message": "JOB_NOT_FOUND"}},
            errors.JobNotFound,
            "JOB_NOT_FOUND",
        ),
        (405, {"message": "Method Not Allowed"}, errors.BadAnswer, "BAD_ANSWER"),
        (408, {"message": "Request Timeout"}, errors.TooSlow, "REQUEST_TIMEOUT"),
        (409, coded("JOB_NOT_FINISHED"), errors.JobNotFinished, "JOB_NOT_FINISHED"),
        (409, coded("JOB_FINISHED"), errors.JobFinished, "JOB_FINISHED"),
        (409, coded("UPLOAD_TAKEN"), errors.UploadTaken, "UPLOAD_TAKEN"),
        (409, coded("SOMETHING_ELSE"), errors.Conflict, "SOMETHING_ELSE"),
        (413, {"message": "Request Too Long"}, errors.TooLong, "REQUEST_TOO_LONG"),
        (416, {"message": "Range Not Satisfiable"}, errors.RangeNotSatisfiable, "RANGE_NOT_SATISFIABLE"),
        (422, coded("IDEMPOTENCY_KEY_REUSED"), errors.IdempotencyKeyReused, "IDEMPOTENCY_KEY_REUSED"),
        (429, {"message": "Too Many Requests"}, errors.TooMany, "TOO_MANY_REQUESTS"),
        (500, {"message": "Internal Server Error"}, errors.ServerFailed, "SERVER_FAILED"),
        (502, {"message": "Bad Gateway"}, errors.Unavailable, "SERVICE_UNAVAILABLE"),
        (503, {"message": "Service Unavailable"}, errors.Unavailable, "SERVICE_UNAVAILABLE"),
        (504, {"message": "Endpoint request timed out"}, errors.Unavailable, "SERVICE_UNAVAILABLE"),
        (418, {"message": "I am a teapot"}, errors.BadAnswer, "BAD_ANSWER"),
        (304, {}, errors.BadAnswer, "BAD_ANSWER"),
    ],
)
def test_a_refusal_is_raised_as_its_class(
    vendor: Vendor, client: Client, status: int, body: dict[str, Any], kind: type[RushesError], code: str
) -> None:
    error = raised(vendor, client, told(body, status, x_request_id="r-17"))
    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (status, code, "r-17")
    assert error.sentence.endswith(".") or error.sentence == body["message"]
    if "code" in body:
        assert error.sentence == body["message"]


def test_every_bad_field_is_told(vendor: Vendor, client: Client) -> None:
    for code in ("INVALID_REQUEST_BODY", "INVALID_REQUEST"):
        error = raised(vendor, client, told({**coded(code), "fields": FIELDS}, 400))
        assert isinstance(error, errors.InvalidRequest)
        assert error.fields == BY_NAME


def test_fields_of_another_shape_are_none(vendor: Vendor, client: Client) -> None:
    shapes: tuple[object, ...] = (5, "abc", {"a": 1}, [1, None, "x"], [[]], None, True)
    for fields in shapes:
        error = raised(vendor, client, told({**coded("INVALID_REQUEST_BODY"), "fields": fields}, 400))
        assert isinstance(error, errors.InvalidBody)
        assert error.fields == {}


BODIES = (b"", b"<html>nginx</html>", b"[]", b"5", b"null", b'"text"', b"\xff", b'{"message":{"a":1}}', b'{"code":[]}')


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, errors.InvalidRequest), (401, errors.Unauthorized), (404, errors.NotFound), (409, errors.Conflict)),
        *((429, errors.TooMany), (500, errors.ServerFailed), (502, errors.Unavailable), (503, errors.Unavailable)),
        *((418, errors.BadAnswer), (599, errors.BadAnswer)),
    ],
)
def test_a_refusal_with_another_body_is_raised_by_its_status(
    vendor: Vendor, client: Client, status: int, kind: type[RushesError]
) -> None:
    for body in BODIES:
        answer = Answer(status, body, {"Content-Type": "text/html", "x-amzn-RequestId": "amzn"})
        error = raised(vendor, client, answer)
        assert type(error) is kind, body
        assert (error.status, error.request_id) == (status, "amzn")
        assert error.sentence


def test_a_deep_body_breaks_nothing(vendor: Vendor, client: Client) -> None:
    assert type(raised(vendor, client, Answer(400, b"[" * 100_000))) is errors.InvalidRequest
    assert type(raised(vendor, client, Answer(200, b"[" * 100_000))) is errors.BadAnswer


def test_a_success_that_is_no_json_tells_its_status_and_request(vendor: Vendor, client: Client) -> None:
    error = raised(vendor, client, Answer(200, b"<html>", {"X-Request-Id": "r-18"}))
    assert (type(error), error.status, error.request_id) == (errors.BadAnswer, 200, "r-18")


@pytest.mark.parametrize("status", [429, 503])
def test_when_to_come_again_is_told(vendor: Vendor, client: Client, status: int) -> None:
    unsaid = 1 if status == 429 else None
    for said, seconds in {"7": 7, "0": 0, "soon": unsaid, "-1": unsaid, "": unsaid, "1.5": unsaid}.items():
        error = raised(vendor, client, Answer(status, b"{}", {"Retry-After": said}))
        assert isinstance(error, errors.TooMany | errors.Unavailable)
        assert error.retry_after == seconds, said
        assert error.retryable


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Thu, 09 Apr 2026 18:52:47 GMT", 60),
        ("Thursday, 09-Apr-26 18:52:47 GMT", 60),
        ("Thu, 09 Apr 2026 18:52:47 -0000", 60),
        ("Thu, 09 Apr 2026 18:00:00 GMT", 0),
        ("Thu, 09 Apr 2099 18:00:00 GMT", 24 * 3600),
        ("Thu, 09 Apr 99999 18:00:00 GMT", None),
        (f"Thu, 09 Apr 2026 18:00:00 +{'9' * 30}", None),
    ],
)
def test_when_to_come_again_may_be_a_date(vendor: Vendor, client: Client, said: str, seconds: float | None) -> None:
    headers = {"Retry-After": said, "Date": "Thu, 09 Apr 2026 18:51:47 GMT"}
    error = raised(vendor, client, Answer(503, b"{}", headers))
    assert isinstance(error, errors.Unavailable)
    assert error.retry_after == seconds


def test_a_date_without_the_servers_time_is_taken_by_ours(vendor: Vendor, client: Client) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    error = raised(vendor, client, Answer(503, b"{}", {"Retry-After": soon}))
    assert isinstance(error, errors.Unavailable)
    assert error.retry_after == pytest.approx(100, abs=20)


def test_a_wrong_key_is_said(connect: Any, vendor: Vendor) -> None:
    with pytest.raises(errors.Unauthorized) as caught:
        connect(vendor.url, "pictai_other").quota()
    assert caught.value.status == 401


def test_an_answer_without_end_is_left(vendor: Vendor, client: Client) -> None:
    """A page has some hundred thousand bytes."""
    vendor.always("GET", "/any", instead(Answer(200, json.dumps("x" * (65 * 2**20)).encode())))
    with pytest.raises(errors.BadAnswer, match="longer"):
        client.ask("GET", "/any")
