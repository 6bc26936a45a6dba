"""Takes: videos asked for and waited for, through the API alone."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.conftest import wait_until

Json = dict[str, Any]

VIDEOS = "/aistudio/videos"


def submit(api: httpx2.Client, prompt: str = "a red fox in fresh snow", **asked: object) -> str:
    """Ask for a video; the job's id."""
    answer = api.post(VIDEOS, json={"prompt": prompt, **asked})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["jobId"])


def ended(api: httpx2.Client, job_id: str, seconds: float = 90) -> Json:
    """The job's answer once it is not in progress any more."""
    answer: Json = {}

    def over() -> bool:
        answer.update(api.get(f"/jobs/{job_id}").raise_for_status().json())
        return bool(answer["data"]["status"] != "in-progress")

    wait_until(over, seconds, f"the end of job {job_id}")
    return answer


def completed(api: httpx2.Client, job_id: str) -> Json:
    """The library's item of a job, once it is there."""
    job = ended(api, job_id)
    assert job["data"]["status"] == "completed", job
    [item] = [item for item in api.get(VIDEOS).json()["items"] if item["url"] == job["data"]["url"]]
    assert isinstance(item, dict)
    return item


def failed(api: httpx2.Client, job_id: str) -> str:
    """The code a job failed with."""
    job = ended(api, job_id)
    assert (job["success"], job["data"]["status"]) == (False, "failed"), job
    return str(job["data"]["error_code"])
