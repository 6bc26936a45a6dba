"""``GET /jobs/{jobid}`` (contract A4)."""

from __future__ import annotations

import json

import httpx2
import pytest

from tests.api import sockets
from tests.api.conftest import Take
from tests.api.takes import ended, submit
from tests.conftest import V1, Server

COMPLETED = [
    *("status", "url", "duration", "width", "height"),
    *("thumbnailImageUrl", "lastFrameImageUrl", "previewImageUrl", "aiCreditsUsed"),
]


def test_a_completed_job_has_its_keys_in_this_order_and_the_items_facts(take: Take) -> None:
    answer = take.api.get(f"/jobs/{take.job_id}")
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["job_id", "success", "data"]
    assert (body["job_id"], body["success"]) == (take.job_id, True)
    data = body["data"]
    assert list(data) == COMPLETED
    assert data["status"] == "completed"
    assert {name: data[name] for name in COMPLETED[1:-1]} == {name: take.item[name] for name in COMPLETED[1:-1]}
    # 5 seconds of pixverse5.5 at 1.6: a number, without a fraction where there is none
    assert '"aiCreditsUsed":8}' in answer.text


def test_json_is_compact_with_its_type_and_its_length(take: Take) -> None:
    answer = take.api.get(f"/jobs/{take.job_id}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.text == json.dumps(answer.json(), ensure_ascii=False, separators=(",", ":"))


def test_head_works_where_get_does(take: Take) -> None:
    key, path = b"Authorization: " + take.key.encode(), f"{V1}/jobs/{take.job_id}".encode()
    got, head = (sockets.ask(take.server, path, b"Host: a", key, method=method) for method in (b"GET", b"HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]


def test_polling_in_a_hot_loop_shows_in_progress_and_then_the_end(api: httpx2.Client) -> None:
    """Twice: once while it works, once to its failure."""
    job_id = submit(api, "takes its time [sandbox: slow 2s, refuse]")
    running = f'{{"job_id":"{job_id}","success":true,"data":{{"status":"in-progress"}}}}'
    seen = []
    for _ in range(100_000):
        answer = api.get(f"/jobs/{job_id}")
        assert answer.status_code == 200
        if answer.text != running:
            break
        seen.append(answer.text)
    assert len(seen) > 50
    assert answer.json()["data"]["error_code"] == "CONTENT_REJECTED"
    assert api.get(f"/jobs/{job_id}").text == answer.text


FAULTS = {
    "fail": "PROVIDER_ERROR",
    "refuse": "CONTENT_REJECTED",
    "reject": "CONTENT_REJECTED",
    "retired": "MODEL_RETIRED",
    "unavailable": "MODEL_UNAVAILABLE",
    "damaged": "PROVIDER_ERROR",
    "not-a-video": "PROVIDER_ERROR",
    "empty": "PROVIDER_ERROR",
}


def test_a_failed_job_is_200_with_a_code_for_programs_and_a_sentence_for_people(api: httpx2.Client) -> None:
    jobs = {word: submit(api, f"goes wrong [sandbox: {word}]") for word in FAULTS}
    for word, job_id in jobs.items():
        body = ended(api, job_id)
        assert list(body) == ["job_id", "success", "data"], word
        assert (body["job_id"], body["success"]) == (job_id, False), word
        assert list(body["data"]) == ["status", "error_code", "error_message"], word
        assert (body["data"]["status"], body["data"]["error_code"]) == ("failed", FAULTS[word]), word
        sentence = body["data"]["error_message"]
        assert len(sentence) > 20, word
        assert sentence.endswith((".", "!")), word
    assert api.get("/aistudio/videos").content == b'{"items":[]}'


def test_the_text_in_progress_is_nowhere_in_a_finished_job(server: Server, take: Take, api: httpx2.Client) -> None:
    """A vendor client searches the whole body for it: a sentence that repeats what was sent must not hold it either."""
    assert "in-progress" not in take.api.get(f"/jobs/{take.job_id}").text
    jobs = [
        submit(api, "work in-progress [sandbox: fail]"),
        submit(api, "work in-progress [sandbox: in-progress]"),
        submit(api, firstFrameImageUrl=f"{server.url}/in-progress.png"),
        submit(api, extendVideoUrl=f"{take.item['previewImageUrl']}?in-progress#in-progress"),
        submit(api, firstFrameImageUrl="http://in-progress.invalid/in-progress.png"),
    ]
    for job_id in jobs:
        ended(api, job_id)
        assert "in-progress" not in api.get(f"/jobs/{job_id}").text


# --- 404 ---


def unknown(job_id: str) -> bytes:
    """The vendor's own body, to the byte."""
    told = json.dumps(job_id, ensure_ascii=False)
    return (
        '{"job_id":' + told + ',"success":false,"data":{"error_code":"5000","error_message":"JOB_NOT_FOUND"}}'
    ).encode()


@pytest.mark.parametrize(
    "job_id",
    ["5b0a3c0e-2f6c-4d5a-9a43-0d9b8f1e2a77", "00000000-0000-4000-8000-000000000000", "x", "null", "5000", "in", "🎬"],
)
def test_an_unknown_or_malformed_job_is_404_with_this_body(api: httpx2.Client, job_id: str) -> None:
    answer = api.get(f"/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (404, unknown(job_id))
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "job_id"),
    [
        ("%22%7D", '"}'),
        ("a%5Cb", "a\\b"),
        ("%00", "\x00"),
        ("%01", "\x01"),
        ("%ff", "\ufffd"),
        ("%27%20OR%201%3D1", "' OR 1=1"),
    ],
)
def test_whatever_stands_for_a_job_the_404_is_json(server: Server, path: str, job_id: str) -> None:
    key = b"Authorization: " + server.key().encode()
    answer = sockets.ask(server, f"{V1}/jobs/{path}".encode(), b"Host: a", key)
    assert (answer.status, json.loads(answer.body)) == (404, json.loads(unknown(job_id)))


def test_a_path_that_is_not_ascii_is_the_clients_mistake(server: Server) -> None:
    key = b"Authorization: " + server.key().encode()
    answer = sockets.ask(server, V1.encode() + b"/jobs/\xff\xc3\xa4", b"Host: a", key)
    assert answer.status in (400, 404)


def test_another_spelling_of_a_jobs_id_is_not_its_id(take: Take) -> None:
    for other in (take.job_id.upper(), take.job_id.replace("-", ""), f"{{{take.job_id}}}", f"urn:uuid:{take.job_id}"):
        assert take.api.get(f"/jobs/{other}").content == unknown(other)


def test_another_accounts_job_is_404_like_an_unknown_one(take: Take, api: httpx2.Client) -> None:
    answer = api.get(f"/jobs/{take.job_id}")
    assert (answer.status_code, answer.content) == (404, unknown(take.job_id))


def test_another_method_is_405(take: Take) -> None:
    for method in ("POST", "DELETE", "PUT"):
        answer = take.api.request(method, f"/jobs/{take.job_id}")
        assert (answer.status_code, answer.content) == (405, b'{"message":"Method Not Allowed"}')
        assert {"GET", "HEAD"} <= set(answer.headers["allow"].split(", "))
