"""A job is waited for patiently, politely, and no longer than was asked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from rushes import Client, errors
from rushes.client import Progress
from tests.client.conftest import Connect, all_at_once
from tests.conftest import free_port, wait_until
from tests.servers.vendor import Answer, Vendor, cut, instead, silence, status, told

JOB = "5b0a3c0e-2f6c-4d5a-9a43-0d9b8f1e2a77"
PATH = f"/jobs/{JOB}"
NEVER = 10**9


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A vendor with one job that ends well, after a look."""
    with Vendor() as running:
        running.add_job(JOB, status="completed", url="http://a/b.mp4", aiCreditsUsed=8)
        yield running


def gaps(vendor: Vendor) -> list[float]:
    """Seconds between looks."""
    return [later.at - sooner.at for sooner, later in pairwise(vendor.of("GET", PATH))]


def test_a_job_that_has_ended_is_there_at_once(vendor: Vendor, client: Client) -> None:
    vendor.looks = 0
    job = client.jobs.wait(JOB, timeout=0)
    assert (job.id, job.status, job.url, job.credits) == (JOB, "completed", "http://a/b.mp4", 8)
    assert job.ended
    assert len(vendor.asked) == 1


def test_looks_come_at_growing_intervals(vendor: Vendor, client: Client) -> None:
    vendor.looks = 4
    client.jobs.wait(JOB)
    waited = gaps(vendor)
    assert len(waited) == 4
    assert [gap >= 0.25 * 1.4**n * 0.98 for n, gap in enumerate(waited)] == [True] * 4


@pytest.mark.parametrize("code", [429, 503])
def test_what_the_server_asks_for_is_waited(vendor: Vendor, client: Client, code: int) -> None:
    vendor.looks = 0
    vendor.next("GET", PATH, status(code, retry_after="1"))
    client.jobs.wait(JOB)
    assert gaps(vendor)[0] >= 1


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("seconds", ["30", "3600", "9" * 400])
def test_when_the_server_asks_for_more_than_there_is_no_look_is_taken(
    vendor: Vendor, client: Client, code: int, seconds: str
) -> None:
    vendor.always("GET", PATH, status(code, retry_after=seconds))
    with pytest.raises(errors.StillRunning):
        client.jobs.wait(JOB, timeout=20)
    assert len(vendor.asked) == 1


def test_at_its_end_the_wait_says_which_job_goes_on(vendor: Vendor, client: Client) -> None:
    vendor.looks = NEVER
    with pytest.raises(errors.StillRunning, match=JOB) as raised:
        client.jobs.wait(JOB, timeout=1)
    assert raised.value.job_id == JOB
    # The last look is at the end, not some interval before it.
    assert sum(gaps(vendor)) >= 0.98


def test_generate_says_it_too(vendor: Vendor, client: Client) -> None:
    vendor.looks = NEVER
    with pytest.raises(errors.StillRunning) as raised:
        client.videos.generate("a red fox", timeout=0)
    assert raised.value.job_id in vendor.jobs


def test_a_server_that_says_nothing_does_not_hold_the_wait_up(vendor: Vendor, client: Client) -> None:
    """Its own 30 seconds a try would."""
    vendor.always("GET", PATH, silence)
    with pytest.raises(errors.StillRunning):
        client.jobs.wait(JOB, timeout=0.5)
    assert len(vendor.asked) == 1


def test_a_look_that_fails_is_no_end(vendor: Vendor, client: Client) -> None:
    faults = [cut(0), cut(60), *map(status, (429, 500, 502, 503, 504))]
    jobs = [f"job-{n}" for n in range(len(faults))]
    for job_id, fault in zip(jobs, faults, strict=True):
        vendor.add_job(job_id, status="completed")
        vendor.next("GET", f"/jobs/{job_id}", fault)
    assert [job.status for job in all_at_once(client.jobs.wait, jobs)] == ["completed"] * len(jobs)
    assert [len(vendor.of("GET", f"/jobs/{job_id}")) for job_id in jobs] == [2] * len(jobs)


def test_a_server_that_is_away_for_a_while_is_waited_for(connect: Connect) -> None:
    port = free_port()
    seen: list[Progress] = []
    before, after = Vendor(port=port, looks=NEVER), Vendor(port=port, looks=0)
    for each in (before, after):
        each.add_job(JOB, status="completed", url="http://a/b.mp4")

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 1:
            before.__exit__(None, None, None)
        if len(seen) == 4:
            after.__enter__()

    before.__enter__()
    try:
        job = connect(before.url, timeout=2).jobs.wait(JOB, on_progress=watch)
    finally:
        after.__exit__(None, None, None)
    assert job.url == "http://a/b.mp4"
    assert [progress.waiting_for for progress in seen] == [None, *["the server to answer"] * 3]


def test_a_server_that_does_not_come_back_ends_the_wait(vendor: Vendor, client: Client) -> None:
    vendor.__exit__(None, None, None)
    with pytest.raises(errors.StillRunning):
        client.jobs.wait(JOB, timeout=0.5)


FAILED = {kind.code: kind for kind in errors.JobFailed.__subclasses__()}


def test_a_failed_job_is_an_error_of_its_code(vendor: Vendor, client: Client) -> None:
    vendor.looks = 0
    for code in (*FAILED, "5001"):
        vendor.add_job(JOB, status="failed", error_code=code, error_message="It went wrong; do this.")
        with pytest.raises(errors.JobFailed) as raised:
            client.jobs.wait(JOB)
        assert type(raised.value) is FAILED.get(code, errors.ProviderFailed)
        assert (raised.value.code, raised.value.job_id, raised.value.sentence) == (code, JOB, str(raised.value))
        assert str(raised.value) == "It went wrong; do this."


def test_a_failure_may_say_nothing_or_a_number(vendor: Vendor, client: Client) -> None:
    for data in ({}, {"error_code": None, "error_message": None}, {"error_code": 5001}):
        vendor.add_job(JOB, status="failed", **data)
        with pytest.raises(errors.ProviderFailed) as raised:
            client.jobs.wait(JOB)
        assert raised.value.sentence


def test_generate_fails_as_its_job_does(vendor: Vendor, client: Client) -> None:
    failed = {"status": "failed", "error_code": "CONTENT_REJECTED", "error_message": "Say something else."}
    path = "/jobs/5b0a3c0e-2f6c-4d5a-9a43-000000000001"
    vendor.next("GET", path, instead(told({"job_id": "1", "success": False, "data": failed})))
    with pytest.raises(errors.ContentRejected):
        client.videos.generate("a red fox")


def test_a_cleaned_job_is_cleaned_and_no_failure(vendor: Vendor, client: Client) -> None:
    client.jobs.clean(JOB)
    job = client.jobs.wait(JOB)
    assert (job.status, job.ended, job.url) == ("cleaned", True, None)


def test_a_word_nobody_knows_is_no_success(vendor: Vendor, client: Client) -> None:
    queued = instead(told({"job_id": JOB, "success": True, "data": {"status": "queued"}}))
    vendor.next("GET", PATH, queued)
    assert client.jobs.wait(JOB).status == "completed"
    assert len(vendor.asked) == 2


def test_an_unknown_job_is_an_error_at_once(vendor: Vendor, client: Client) -> None:
    with pytest.raises(errors.JobNotFound) as raised:
        client.jobs.wait("other")
    assert (raised.value.job_id, raised.value.status) == ("other", 404)
    assert len(vendor.asked) == 1


def test_an_answer_of_another_shape_is_an_error_at_once(vendor: Vendor, client: Client) -> None:
    for body in (b"<html>", b"{}", b'{"data":{}}', b'{"data":{"status":5},"job_id":"j"}', b'{"data":[],"job_id":"j"}'):
        vendor.next("GET", PATH, instead(Answer(200, body)))
        with pytest.raises(errors.BadAnswer):
            client.jobs.wait(JOB)
    assert len(vendor.asked) == 5


def test_progress_is_told_while_it_goes_on(vendor: Vendor, client: Client) -> None:
    seen: list[Progress] = []
    vendor.looks = 2
    client.jobs.wait(JOB, on_progress=seen.append)
    assert [(each.job_id, each.state, each.progress) for each in seen] == [(JOB, "in-progress", None)] * 2
    assert seen[0].seconds < seen[1].seconds
    # The vendor knows no more, and is not asked for more.
    assert {asked.path for asked in vendor.asked} == {PATH}


def test_whoever_breaks_it_off_is_let_go(vendor: Vendor, client: Client) -> None:
    def enough(progress: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.jobs.wait(JOB, on_progress=enough)
    wait_until(lambda: len(vendor.asked) == 1)
