"""``GET /jobs`` and ``DELETE /jobs/{jobid}/clean`` (contract A5), ``/aistudio/jobs`` (part C)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

import httpx2
import pytest

from rushes.model import Job, JobState
from rushes.store import jobs
from rushes.store.library import IMAGES as LIBRARY
from rushes.studio import Studio
from tests.api.conftest import Take
from tests.api.library import NOON, account_of
from tests.api.takes import VIDEOS, Json, completed, ended, submit
from tests.conftest import Server, serving, wait_until
from tests.contract.samples import job as a_job

IMAGES = "/aistudio/images"
DETAILS = "/aistudio/jobs"
DETAIL_KEYS = [
    *("jobId", "kind", "model", "prompt", "state", "waitingFor", "progress", "createdDate", "itemId"),
    *("error", "credits", "cost", "costSource", "provider", "request"),
]


@dataclass
class Desk:
    """An account whose jobs nobody works on."""

    server: Server
    api: httpx2.Client
    account_id: str

    def put(self, count: int, created: int = NOON, state: JobState = JobState.FAILED) -> list[Job]:
        """Jobs that are over, and a moment apart in threes."""
        put = [a_job(self.account_id, created=created + number // 3, state=state) for number in range(count)]
        self.server.do(lambda studio: _add(studio, put))
        return put

    def walk(self, path: str, **query: str) -> list[Json]:
        pages: list[Json] = []
        token: str | None = ""
        while token is not None:
            answer = self.api.get(path, params={**query, "nextPageKey": token} if token else query)
            assert answer.status_code == 200, answer.text
            pages.append(answer.json())
            token = pages[-1].get("nextPageKey")
        return pages


async def _add(studio: Studio, put: list[Job]) -> None:
    end = """
        UPDATE jobs SET state = :state, run_at = NULL, ended = created, error_code = :code, error_message = :code
        WHERE id = :id
    """
    async with studio.store.write() as tx:
        for each in put:
            await jobs.add(tx, each)
            code = "PROVIDER_ERROR" if each.state is JobState.FAILED else None
            await tx.rows(end, id=each.id, state=each.state, code=code)


@pytest.fixture
def office(server: Server, api: httpx2.Client) -> Desk:
    return Desk(server, api, account_of(server, api.headers["authorization"]))


def newest_first(put: list[Job]) -> list[str]:
    return [each.id for each in sorted(put, key=lambda each: (each.created, each.id), reverse=True)]


def shown(pages: list[Json]) -> list[str]:
    return [item.get("jobId") or item["data"]["jobId"] for page in pages for item in page["items"]]


def refused(answer: httpx2.Response) -> list[str]:
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST"), answer.text
    return sorted(field["name"] for field in answer.json()["fields"])


# --- GET /jobs ---


def test_an_account_without_jobs_has_one_empty_page(api: httpx2.Client) -> None:
    """Contract: "the last page HAS nextPageKey: null"."""
    assert api.get("/jobs").content == b'{"items":[],"nextPageKey":null}'


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_pages_hold_100_jobs_newest_first_and_the_last_one_says_null(
    office: Desk, count: int, sizes: list[int]
) -> None:
    put = office.put(count)
    pages = office.walk("/jobs")
    assert [len(page["items"]) for page in pages] == sizes
    assert [list(page) for page in pages] == [["items", "nextPageKey"]] * len(sizes)
    assert [page["nextPageKey"] is None for page in pages] == [False] * (len(sizes) - 1) + [True]
    assert shown(pages) == newest_first(put)


def test_each_job_is_told_as_it_is_alone(take: Take) -> None:
    """Contract: "{"success":…,"data":{"jobId","status",…as A4}}", of every way to end and of none."""
    api = take.api
    wanted = {
        "completed": take.job_id,
        "failed": submit(api, "goes wrong [sandbox: fail]"),
        "in-progress": submit(api, "never ends [sandbox: stall]"),
        "cleaned": submit(api, "goes wrong [sandbox: reject]"),
    }
    for status in ("failed", "cleaned"):
        ended(api, wanted[status])
    api.delete(f"/jobs/{wanted['cleaned']}/clean")
    listed = {item["data"]["jobId"]: item for item in api.get("/jobs").json()["items"]}
    for status, job_id in wanted.items():
        item, alone = listed[job_id], api.get(f"/jobs/{job_id}").json()
        assert list(item) == ["success", "data"]
        assert list(item["data"])[:2] == ["jobId", "status"]
        assert item["data"]["status"] == status
        assert json.dumps(item) == json.dumps({"success": alone["success"], "data": {"jobId": job_id, **alone["data"]}})
        assert item["success"] == (status != "failed")
    api.post(f"/jobs/{wanted['in-progress']}/cancel")


def test_a_walk_is_exact_while_jobs_are_added(office: Desk) -> None:
    """Contract: "exact walk while jobs are added", by a thread that does not stop."""
    put = office.put(250)
    enough = Event()

    def add() -> int:
        added = 0
        with office.server.client(office.api.headers["authorization"]) as api:
            while not enough.is_set():
                submit(api, f"one more {added} [sandbox: stall]")
                added += 1
        return added

    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(add)
        try:
            wait_until(
                lambda: (
                    len(office.walk("/jobs")[0]["items"]) == 100
                    and office.api.get("/jobs").json()["items"][0]["data"]["status"] == "in-progress"
                ),
                what="a job to be added",
            )
            walks = [shown(office.walk("/jobs")) for _ in range(4)]
        finally:
            enough.set()
        assert adding.result() > 0
    kept = set(newest_first(put))
    for seen in walks:
        assert len(seen) == len(set(seen))
        assert [each for each in seen if each in kept] == newest_first(put)
    assert any(len(seen) > len(put) for seen in walks)


def test_tokens_are_those_of_their_list_and_account(office: Desk, take: Take) -> None:
    office.put(101)
    token = office.api.get("/jobs").json()["nextPageKey"]
    details = office.api.get(DETAILS).json()["nextPageKey"]
    failed = office.api.get(DETAILS, params={"state": "failed"}).json()["nextPageKey"]
    assert refused(office.api.get(DETAILS, params={"nextPageKey": token})) == ["nextPageKey"]
    assert refused(office.api.get("/jobs", params={"nextPageKey": details})) == ["nextPageKey"]
    assert refused(office.api.get(DETAILS, params={"nextPageKey": failed})) == ["nextPageKey"]
    assert refused(office.api.get(VIDEOS, params={"nextPageKey": token})) == ["nextPageKey"]
    assert refused(take.api.get("/jobs", params={"nextPageKey": token})) == ["nextPageKey"]
    assert office.api.get("/jobs", params={"nextPageKey": token, "x": "1"}).status_code == 200
    assert office.api.get("/jobs?nextPageKey=").content == office.api.get("/jobs").content


def test_another_accounts_jobs_are_not_shown(office: Desk) -> None:
    office.put(1)
    with office.server.client() as stranger:
        assert stranger.get("/jobs").json()["items"] == stranger.get(DETAILS).json()["items"] == []


# --- DELETE /jobs/{jobid}/clean ---


def test_a_cleaned_job_has_nothing_left(server: Server, api: httpx2.Client) -> None:
    """Contract: "DELETE /jobs/{jobid}/clean": item and files are gone; a repeat changes nothing."""
    job_id = submit(api)
    item = completed(api, job_id)
    for _ in range(2):
        answer = api.delete(f"/jobs/{job_id}/clean")
        assert (answer.status_code, answer.content) == (200, b'{"success":true}')
    assert api.get(f"/jobs/{job_id}").json() == {"job_id": job_id, "success": True, "data": {"status": "cleaned"}}
    assert api.get(VIDEOS).content == b'{"items":[]}'
    for name in ("url", "previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl"):
        assert httpx2.get(item[name], trust_env=False).status_code == 404
    detail = api.get(f"{DETAILS}/{job_id}").json()
    assert (detail["state"], detail["itemId"]) == ("cleaned", None)


def test_only_an_ended_job_can_be_cleaned(api: httpx2.Client) -> None:
    job_id = submit(api, "never ends [sandbox: stall]")
    answer = api.delete(f"/jobs/{job_id}/clean")
    assert (answer.status_code, answer.json()["code"]) == (409, "JOB_NOT_FINISHED")
    assert api.post(f"/jobs/{job_id}/cancel").content == b'{"success":true}'
    assert api.delete(f"/jobs/{job_id}/clean").content == b'{"success":true}'


@pytest.mark.parametrize("job_id", ["x", "%00", "5b0a3c0e-2f6c-4d5a-9a43-0d9b8f1e2a77"])
def test_an_unknown_job_cannot_be_cleaned_or_looked_at(api: httpx2.Client, job_id: str) -> None:
    for answer in (api.delete(f"/jobs/{job_id}/clean"), api.get(f"{DETAILS}/{job_id}")):
        assert answer.status_code == 404
        assert answer.json()["data"] == {"error_code": "5000", "error_message": "JOB_NOT_FOUND"}


def test_another_accounts_job_cannot_be_cleaned(take: Take, api: httpx2.Client) -> None:
    assert api.delete(f"/jobs/{take.job_id}/clean").status_code == 404
    assert api.get(f"{DETAILS}/{take.job_id}").status_code == 404
    assert take.api.get(f"/jobs/{take.job_id}").json()["data"]["status"] == "completed"


# --- /aistudio/jobs ---


def test_a_completed_jobs_details(take: Take) -> None:
    """Contract: "jobId kind model prompt state waitingFor progress createdDate itemId error credits cost …"."""
    answer = take.api.get(f"{DETAILS}/{take.job_id}")
    detail = answer.json()
    assert list(detail) == DETAIL_KEYS
    assert detail == {
        "jobId": take.job_id,
        "kind": "video",
        "model": "pixverse5.5",
        "prompt": take.item["prompt"],
        "state": "completed",
        "waitingFor": None,
        "progress": None,
        "createdDate": detail["createdDate"],
        "itemId": take.item["id"],
        "error": None,
        "credits": 8,
        "cost": 0,
        "costSource": "reported",
        "provider": "sandbox",
        "request": {"prompt": take.item["prompt"], "model": "pixverse5.5", "aspectRatio": "1:1", "duration": "5s"},
    }
    assert detail["createdDate"] < take.item["createdDate"]
    assert answer.headers["content-type"] == "application/json"
    assert [each for each in take.api.get(DETAILS).json()["items"] if each["jobId"] == take.job_id] == [detail]


def test_a_failed_jobs_details(api: httpx2.Client) -> None:
    job_id = submit(api, "goes wrong [sandbox: refuse]")
    ended(api, job_id)
    detail = api.get(f"{DETAILS}/{job_id}").json()
    assert (detail["state"], detail["waitingFor"], detail["itemId"], detail["cost"]) == ("failed", None, None, 0)
    assert list(detail["error"]) == ["code", "message"]
    assert detail["error"]["code"] == "CONTENT_REJECTED"


def test_an_images_details_and_request(api: httpx2.Client) -> None:
    body = {"prompt": "a red fox", "model": "nanobanana", "aspectRatio": "9:16", "style": "vintage"}
    job_id = api.post(IMAGES, json=body).json()["data"]["jobId"]
    job = ended(api, job_id)["data"]
    detail = api.get(f"{DETAILS}/{job_id}").json()
    assert (detail["kind"], detail["request"], detail["credits"]) == ("image", body, 4)
    assert detail["itemId"] == job["url"].rpartition("/")[2].removesuffix(".png")
    # it can be sent again as it is
    assert api.post(IMAGES, json=detail["request"]).status_code == 200


def test_a_request_is_told_as_it_was_sent(desk: Server) -> None:
    link = "https://media.example/ä.png?s=1"
    sent: list[tuple[str, Json]] = [
        (VIDEOS, {"firstFrameImageUrl": link, "webhook": "https://hooks.example/1"}),
        (VIDEOS, {"referenceImageUrls": [link, f"{link}2"]}),
        (VIDEOS, {"extendVideoUrl": link}),
        (IMAGES, {"referenceImageUrl": link, "style": "cartoon", "webhook": "https://hooks.example/1"}),
    ]
    with desk.client() as api:
        for path, asked in sent:
            body = {"prompt": "a red fox", **asked}
            job_id = api.post(path, json=body).json()["data"]["jobId"]
            told = api.get(f"{DETAILS}/{job_id}").json()["request"]
            assert {name: told[name] for name in body} == body
            again = api.post(path, json=told).json()["data"]["jobId"]
            assert api.get(f"{DETAILS}/{again}").json()["request"] == told


def test_a_queued_job_waits_for_a_worker(desk: Server) -> None:
    with desk.client() as api:
        detail = api.get(f"{DETAILS}/{submit(api)}").json()
    assert (detail["state"], detail["waitingFor"], detail["progress"]) == ("queued", "a worker", None)
    assert (detail["itemId"], detail["error"], detail["cost"]) == (None, None, None)


def waiting_for(api: httpx2.Client, job_id: str, words: str) -> dict[str, Any]:
    detail: dict[str, Any] = {}

    def told() -> bool:
        detail.update(api.get(f"{DETAILS}/{job_id}").json())
        return words in (detail["waitingFor"] or "")

    wait_until(told, 30, f"{words!r} in what the job waits for")
    return detail


@pytest.mark.parametrize("word", ["unreachable", "flaky 600s"])
def test_waiting_for_says_why_a_job_was_set_back(api: httpx2.Client, word: str) -> None:
    """Contract: "waitingFor says why a job was set back"."""
    job_id = submit(api, f"not now [sandbox: {word}]")
    detail = waiting_for(api, job_id, "The sandbox plays unreachable")
    assert detail["state"] == ("queued" if word == "unreachable" else "waiting")
    assert detail["error"] is None
    assert api.get(f"/jobs/{job_id}").json()["data"] == {"status": "in-progress"}
    api.post(f"/jobs/{job_id}/cancel")
    detail = api.get(f"{DETAILS}/{job_id}").json()
    assert (detail["state"], detail["waitingFor"], detail["error"]["code"]) == ("cancelled", None, "CANCELLED")


def test_a_slow_job_tells_its_progress(api: httpx2.Client) -> None:
    job_id = submit(api, "takes its time [sandbox: slow 600s]")
    detail = waiting_for(api, job_id, "the provider to make it")
    assert detail["state"] == "waiting"
    wait_until(lambda: (api.get(f"{DETAILS}/{job_id}").json()["progress"] or 0) > 0, 30, "progress")
    assert 0 < api.get(f"{DETAILS}/{job_id}").json()["progress"] < 0.5
    api.post(f"/jobs/{job_id}/cancel")


def test_details_are_filtered_by_state_and_walked_in_order(office: Desk) -> None:
    """Contract: "state= filters"."""
    put = {state: office.put(7, NOON + 1, state) for state in (JobState.FAILED, JobState.CANCELLED, JobState.CLEANED)}
    for state, those in put.items():
        pages = office.walk(DETAILS, state=state, limit="3")
        assert [len(page["items"]) for page in pages] == [3, 3, 1]
        assert shown(pages) == newest_first(those)
        assert {item["state"] for page in pages for item in page["items"]} == {state}
    everything = [each for those in put.values() for each in those]
    assert shown(office.walk(DETAILS, limit="4")) == newest_first(everything)
    assert shown(office.walk(DETAILS, state="", limit="")) == newest_first(everything)
    assert office.api.get(DETAILS, params={"state": "completed"}).json() == {"items": []}
    assert refused(office.api.get(DETAILS, params={"state": "done", "limit": "0"})) == ["limit", "state"]
    everywhere = {"state": "done", "limit": "0", "nextPageKey": "no token"}
    assert refused(office.api.get(DETAILS, params=everywhere)) == ["limit", "nextPageKey", "state"]
    assert refused(office.api.get(DETAILS, params={"state": "in-progress"})) == ["state"]


# --- in-progress ---


def test_the_text_in_progress_is_nowhere_in_what_is_told_of_a_finished_job(api: httpx2.Client) -> None:
    """Contract: "The text in-progress never appears anywhere in the body of a finished job", details and lists too."""
    body = {"prompt": "work in-progress", "webhook": "https://in-progress.invalid/in-progress"}
    done = [api.post(IMAGES, json=body).json()["data"]["jobId"]]
    done += [submit(api, f"work in-progress [sandbox: {word}]") for word in ("fail", "in-progress")]
    done += [submit(api, "work in-progress", firstFrameImageUrl="http://in-progress.invalid/in-progress.png")]
    for job_id in done:
        ended(api, job_id)
        detail = api.get(f"{DETAILS}/{job_id}")
        assert "in-progress" not in detail.text
        assert "work in-progress" in detail.json()["prompt"]
    assert api.get(f"{DETAILS}/{done[0]}").json()["request"]["webhook"] == body["webhook"]
    for path in ("/jobs", DETAILS, f"{DETAILS}?state=failed"):
        assert "in-progress" not in api.get(path).text
    api.delete(f"/jobs/{done[0]}/clean")
    assert "in-progress" not in api.get(f"/jobs/{done[0]}").text + api.get(f"{DETAILS}/{done[0]}").text


def test_a_job_whose_item_goes_is_never_in_progress_again(server: Server, api: httpx2.Client) -> None:
    """A client that polls while the item is deleted sees ``completed`` and then ``cleaned``, and nothing else."""
    job_id = api.post(IMAGES, json={"prompt": "a red fox"}).json()["data"]["jobId"]
    item_id = ended(api, job_id)["data"]["url"].rpartition("/")[2].removesuffix(".png")
    started = Event()

    def poll() -> set[str]:
        seen: set[str] = set()
        with server.client(api.headers["authorization"]) as other:
            while "cleaned" not in seen:
                seen.add(other.get(f"/jobs/{job_id}").json()["data"]["status"])
                started.set()
        return seen

    with ThreadPoolExecutor(4) as pool:
        polls = [pool.submit(poll) for _ in range(4)]
        assert started.wait(30)
        assert api.delete(f"{IMAGES}/{item_id}").status_code == 200
        assert set().union(*(each.result(60) for each in polls)) <= {"completed", "cleaned"}


def test_a_completed_job_without_its_item_is_cleaned(server: Server, api: httpx2.Client) -> None:
    """What a look between the two reads of one answer can meet: the job as it was, its item gone."""
    job_id = api.post(IMAGES, json={"prompt": "a red fox"}).json()["data"]["jobId"]
    item_id = ended(api, job_id)["data"]["url"].rpartition("/")[2].removesuffix(".png")
    account_id = account_of(server, api.headers["authorization"])

    async def take_out(studio: Studio) -> None:
        async with studio.store.write() as tx:
            assert await LIBRARY.remove(tx, account_id, item_id)

    server.do(take_out)
    assert api.get(f"/jobs/{job_id}").json()["data"] == {"status": "cleaned"}


def test_a_job_of_a_model_without_a_route_names_the_provider_it_had(tmp_path: Any, database_url: str | None) -> None:
    with serving(tmp_path / "data", database_url, "--no-worker") as server, server.client() as api:
        key, job_id = api.headers["authorization"], submit(api, model="veo3.1")
    (tmp_path / "routes.toml").write_text('[models."pixverse5.5"]\nprovider = "sandbox"\n')
    settings = {"RUSHES_CONFIG": str(tmp_path / "routes.toml")}
    with serving(tmp_path / "data", database_url, settings=settings) as server, server.client(key) as api:
        assert ended(api, job_id)["data"]["error_code"] == "MODEL_UNAVAILABLE"
        assert api.get(f"{DETAILS}/{job_id}").json()["provider"] == "sandbox"
