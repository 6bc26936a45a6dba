"""JSON shapes, to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes import errors, wire
from rushes.model import JobState
from tests.contract.samples import REQUEST, job, video, video_of

ORIGIN = "https://studio.test"
ACCOUNT = "7f9c24e8-3b12-4fef-91e0-ec5f5cd8c67a"
FILE = "0b8f6f0e-60a5-4c1c-8c4e-0f0f8f7cf6d1"

ITEM_KEYS = [
    "url",
    "id",
    "prompt",
    "aspectRatio",
    "createdDate",
    "model",
    "width",
    "height",
    "duration",
    "previewImageUrl",
    "thumbnailImageUrl",
    "lastFrameImageUrl",
]
COMPLETED_KEYS = [
    "status",
    "url",
    "duration",
    "width",
    "height",
    "thumbnailImageUrl",
    "lastFrameImageUrl",
    "previewImageUrl",
    "aiCreditsUsed",
]

anything = st.text(st.characters(exclude_categories=["Cs"]))


def all_errors(root: type[errors.RushesError] = errors.RushesError) -> Iterator[type[errors.RushesError]]:
    yield root
    for kind in root.__subclasses__():
        yield from all_errors(kind)


ERRORS = sorted(set(all_errors()), key=lambda kind: kind.__name__)


def item(**asked: Any) -> dict[str, Any]:
    made = video(ACCOUNT, file_id=FILE, request=replace(REQUEST, **asked))
    found: dict[str, Any] = json.loads(wire.resolve(wire.item(made), ORIGIN))
    return found


# A length


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (8.0, "8s"),
        (7.5, "7.5s"),
        (7.8, "8s"),
        (0.1, "0s"),
        (0.5, "0.5s"),
        (7.75, "8s"),
        (7.74, "7.7s"),
        (8.25, "8s"),
        (8.26, "8.3s"),
        (8.04, "8s"),
        (6.5, "6.5s"),
        (0.9, "1s"),
        (60.0, "60s"),
        (599.96, "600s"),
    ],
)
def test_a_length_is_whole_when_within_a_quarter_second(seconds: float, told: str) -> None:
    assert wire.duration(seconds) == told


@given(st.floats(0, 100_000))
def test_a_length_is_never_far_from_the_truth(seconds: float) -> None:
    told = wire.duration(seconds)
    number = float(told.removesuffix("s"))
    near = abs(seconds - round(seconds)) <= 0.25
    assert told == (f"{round(seconds)}s" if near else f"{number:.1f}s")
    assert abs(number - seconds) <= (0.25 if near else 0.0501)


# An item


def test_an_item_has_the_contracts_keys_in_order() -> None:
    assert list(item()) == ITEM_KEYS


@pytest.mark.parametrize(
    ("asked", "key", "value"),
    [
        ({"first_frame_image_url": "https://a/b.png"}, "firstFrameImageUrl", "https://a/b.png"),
        (
            {"reference_image_urls": ("https://a/2", "https://a/1")},
            "referenceImageUrls",
            ["https://a/2", "https://a/1"],
        ),
        ({"extend_video_url": "https://a/c.mp4"}, "extendVideoUrl", "https://a/c.mp4"),
    ],
)
def test_an_optional_key_is_there_only_if_it_was_sent(asked: dict[str, Any], key: str, value: object) -> None:
    assert list(item(**asked)) == [*ITEM_KEYS, key]
    assert item(**asked)[key] == value


def test_a_webhook_is_not_shown_in_an_item() -> None:
    assert list(item(webhook="https://a/hook")) == ITEM_KEYS


def test_an_item_is_written_to_the_byte() -> None:
    made = video(ACCOUNT, file_id=FILE, id="20260409185147967f0c3a9b1d2e47586", created=1_775_760_707_967)
    stem = f"{ORIGIN}/videos/user/{ACCOUNT}/{FILE}"
    assert wire.resolve(wire.item(made), ORIGIN).decode() == (
        f'{{"url":"{stem}.mp4","id":"20260409185147967f0c3a9b1d2e47586","prompt":"A heron lifts off",'
        '"aspectRatio":"9:16","createdDate":"2026-04-09T18:51:47.967Z","model":"pixverse5.5","width":720,'
        f'"height":1280,"duration":"8s","previewImageUrl":"{stem}_preview.jpg",'
        f'"thumbnailImageUrl":"{stem}_thumbnail.jpg","lastFrameImageUrl":"{stem}_last_frame.png"}}'
    )


@given(prompt=anything, url=anything)
def test_nothing_that_was_sent_breaks_the_json_or_forges_a_link(prompt: str, url: str) -> None:
    made = video(ACCOUNT, request=replace(REQUEST, prompt=prompt, first_frame_image_url=url, model=prompt))
    stored = wire.item(made)
    assert stored.count(wire.LINK) == 4
    [shown] = json.loads(wire.page([stored], None, ORIGIN))["items"]
    assert (shown["prompt"], shown["firstFrameImageUrl"], shown["model"]) == (prompt, url, prompt)
    assert list(shown) == [*ITEM_KEYS, "firstFrameImageUrl"]


@pytest.mark.parametrize(
    "character", [*map(chr, range(32)), '"', "\\", "/", "\x7f", "\u2028", "\u2029", "é", "🦩", "\uffff"]
)
def test_every_kind_of_character_comes_back_as_it_was_sent(character: str) -> None:
    prompt = f"{character}a{character * 2}\\u0001{character}"
    stored = wire.item(video(ACCOUNT, request=replace(REQUEST, prompt=prompt)))
    assert json.loads(wire.page([stored, stored], None, ORIGIN))["items"][1]["prompt"] == prompt


# A page


def test_an_empty_library_is_exactly_an_empty_list() -> None:
    assert wire.page([], None, ORIGIN) == b'{"items":[]}'


def test_the_token_is_there_only_when_more_follows() -> None:
    assert wire.page([b"{}", b"{}"], None, ORIGIN) == b'{"items":[{},{}]}'
    assert wire.page([b"{}", b"{}"], "AZ-_", ORIGIN) == b'{"items":[{},{}],"nextPageKey":"AZ-_"}'


@given(anything, anything, st.integers(1000, 10**13))
def test_a_stored_item_tells_its_place_whatever_else_it_says(prompt: str, url: str, created: int) -> None:
    told = replace(REQUEST, prompt=prompt, model=prompt, first_frame_image_url=url)
    stored = wire.item(video(ACCOUNT, id="an id", created=created, request=told))
    assert wire.sort_key(stored) == (created, "an id")


# A job


@pytest.mark.parametrize("state", ["queued", "submitting", "waiting", "collecting"])
def test_a_job_under_way_is_in_progress(state: str) -> None:
    going = job(ACCOUNT, state=JobState(state), progress=0.5, ticket="t")
    told = wire.dumps(wire.job(going, None, ORIGIN))
    assert told == f'{{"job_id":"{going.id}","success":true,"data":{{"status":"in-progress"}}}}'


def test_a_completed_job_tells_its_facts_in_order() -> None:
    done = job(ACCOUNT, state=JobState.COMPLETED)
    told = wire.job(done, wire.item(video_of(done, FILE)), ORIGIN)
    assert list(told) == ["job_id", "success", "data"]
    assert told["success"] is True
    assert list(told["data"]) == COMPLETED_KEYS
    facts = [told["data"][key] for key in ("status", "duration", "width", "height", "aiCreditsUsed")]
    assert facts == ["completed", "8s", 720, 1280, 12.8]
    assert told["data"]["url"] == f"{ORIGIN}/videos/user/{ACCOUNT}/{FILE}.mp4"


def test_a_failed_job_tells_a_code_and_a_sentence() -> None:
    failed = job(ACCOUNT, state=JobState.FAILED, error_code="INPUT_BLOCKED", error_message="It is private; publish it.")
    assert wire.job(failed, None, ORIGIN) == {
        "job_id": failed.id,
        "success": False,
        "data": {
            "status": "failed",
            "error_code": "INPUT_BLOCKED",
            "error_message": "It is private; publish it.",
        },
    }


@pytest.mark.parametrize("error", [None, "PROVIDER_ERROR"])
def test_a_cleaned_job_reads_cleaned_however_it_ended(error: str | None) -> None:
    cleaned = job(ACCOUNT, state=JobState.CLEANED, error_code=error, error_message=error)
    assert wire.job(cleaned, None, ORIGIN) == {"job_id": cleaned.id, "success": True, "data": {"status": "cleaned"}}


def test_in_progress_is_nowhere_in_a_completed_jobs_body_even_when_the_prompt_says_so() -> None:
    request = replace(REQUEST, prompt="work in-progress", first_frame_image_url="https://a/in-progress.png")
    done = job(ACCOUNT, state=JobState.COMPLETED, request=request)
    assert "in-progress" not in wire.dumps(wire.job(done, wire.item(video_of(done, FILE)), ORIGIN))


def test_in_progress_is_nowhere_in_a_failed_jobs_body_even_when_the_provider_says_so() -> None:
    sentence = "The provider said: render in-progress was aborted; send it again."
    failed = job(ACCOUNT, state=JobState.FAILED, error_code="PROVIDER_ERROR", error_message=sentence)
    assert "in-progress" not in wire.dumps(wire.job(failed, None, ORIGIN))


def test_an_unknown_job_has_the_vendors_own_body() -> None:
    assert wire.dumps(wire.error(errors.JobNotFound("j"))) == (
        '{"job_id":"j","success":false,"data":{"error_code":"5000","error_message":"JOB_NOT_FOUND"}}'
    )


def test_a_submission_is_answered_with_its_job() -> None:
    assert wire.dumps(wire.submitted("j")) == '{"success":true,"data":{"jobId":"j"}}'


@pytest.mark.parametrize(
    ("amount", "told"),
    [("8", "8"), ("8.0", "8"), ("8.00", "8"), ("12.8", "12.8"), ("0", "0"), ("0.6", "0.6"), ("1E+2", "100")],
)
def test_an_amount_is_a_plain_number(amount: str, told: str) -> None:
    assert wire.dumps(wire.number(Decimal(amount))) == told


def test_a_sidecar_holds_the_item_without_a_host_and_its_job() -> None:
    done = job(ACCOUNT, ticket="t-1", request=replace(REQUEST, prompt='say "\x01"'))
    told = json.loads(wire.sidecar(video_of(done, FILE), done))
    assert told["item"]["url"] == f"/videos/user/{ACCOUNT}/{FILE}.mp4"
    assert told["item"]["prompt"] == 'say "\x01"'
    assert (told["job"]["jobId"], told["job"]["ticket"], told["fileId"]) == (done.id, "t-1", FILE)


# Errors


def made(kind: type[errors.RushesError]) -> errors.RushesError:
    sentence = "It went wrong; try again."
    return errors.StillRunning(sentence, "a job") if kind is errors.StillRunning else kind(sentence)


STATUS = {
    "InvalidRequest": 400,
    "InvalidBody": 400,
    "InvalidQuery": 400,
    "Unauthorized": 401,
    "NotFound": 404,
    "JobNotFound": 404,
    "InsufficientCredits": 402,
    "BudgetExceeded": 402,
    "TooSlow": 408,
    "Conflict": 409,
    "JobNotFinished": 409,
    "JobFinished": 409,
    "UploadTaken": 409,
    "TooLong": 413,
    "RangeNotSatisfiable": 416,
    "IdempotencyKeyReused": 422,
    "TooMany": 429,
    "Unavailable": 503,
    "StoreUnavailable": 503,
    "ServerUnreachable": 503,
    "StorageFull": 503,
    "StorageUnavailable": 503,
    "ProviderUnreachable": 503,
}


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_its_status(kind: type[errors.RushesError]) -> None:
    assert wire.status(made(kind)) == STATUS.get(kind.__name__, 500)


@pytest.mark.parametrize("kind", ERRORS)
def test_no_error_body_looks_like_a_page(kind: type[errors.RushesError]) -> None:
    body = wire.error(made(kind))
    assert {"items", "nextPageKey"}.isdisjoint(body)
    assert body != {}
    if wire.status(made(kind)) == 500:
        assert body == {"message": "Internal Server Error"}


def test_every_bad_field_is_named_with_one_sentence() -> None:
    error = errors.InvalidBody("Two fields are wrong.", {"duration": "must be text", "prompt": "is too short"})
    assert wire.error(error) == {
        "code": "INVALID_REQUEST_BODY",
        "message": "Two fields are wrong.",
        "fields": [{"name": "duration", "errors": "must be text"}, {"name": "prompt", "errors": "is too short"}],
    }


def test_a_bad_token_is_named_as_a_field_and_still_no_key_of_a_page() -> None:
    body = wire.error(errors.InvalidQuery("No.", {"nextPageKey": "No."}))
    assert body == {"code": "INVALID_REQUEST", "message": "No.", "fields": [{"name": "nextPageKey", "errors": "No."}]}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {word for line in (errors.__doc__ or "").splitlines() for word in line.split() if word[0].isupper()}
    assert [kind.__name__ for kind in ERRORS if kind.__name__ not in drawn] == []
