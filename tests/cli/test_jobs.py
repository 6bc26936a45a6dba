"""``rushes jobs``: seen, waited for, ended."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.desk import Desk
from tests.conftest import Server, wait_until

UUID = "5e0f6c1a-93b4-4d5e-8a43-0c8d7a1f2b96"


@pytest.fixture
def desk(sqlite_server: Server, tmp_path: Path) -> Desk:
    return Desk.at(sqlite_server, tmp_path)


def started(desk: Desk, prompt: str) -> str:
    return desk.said("generate", prompt, "--no-wait").strip()


def test_jobs_are_listed_newest_first_and_by_state(desk: Desk) -> None:
    good, bad = started(desk, "a calm sea"), started(desk, "a storm [sandbox: fail]")
    for job in (good, bad):
        desk.run("jobs", "show", job, "--wait")
    assert [job["jobId"] for job in desk.told("jobs", "list")] == [bad, good]
    assert [job["jobId"] for job in desk.told("jobs", "list", "-n", "1")] == [bad]
    assert [job["jobId"] for job in desk.told("jobs", "list", "--state", "completed")] == [good]
    heading, first, second = desk.shown("jobs", "list")
    assert heading.split() == ["JOB", "AGE", "STATE", "PROMPT"]
    assert re.fullmatch(rf"{bad}  \d+[sm] +failed     a storm \[sandbox: fail\]", first)
    assert second.endswith("completed  a calm sea")


def test_a_job_is_shown_with_all_that_is_known(desk: Desk) -> None:
    job = started(desk, "a calm sea")
    [told] = desk.told("jobs", "show", job, "--wait")
    assert (told["jobId"], told["state"]) == (job, "completed")
    title, *facts = desk.said("jobs", "show", "last").splitlines()
    assert title == "a calm sea"
    known = dict(fact.split(maxsplit=1) for fact in facts)
    assert known["job"] == job
    assert known["model"] == "pixverse5.5 (sandbox)"
    assert known["video"] == told["itemId"] == desk.told("show", "last")[0]["id"]
    assert "error" not in known


def test_waiting_for_a_job_that_fails_shows_it_and_exits_1(desk: Desk) -> None:
    job = started(desk, "a storm [sandbox: slow 1s, fail]")
    run = desk.run("jobs", "show", job, "--wait")
    assert run.returncode == 1
    assert "  error    PROVIDER_ERROR: " in run.stdout
    assert "  credits  0\n" in run.stdout
    assert run.stderr.startswith(f"rushes: Job {job} ended with PROVIDER_ERROR: ")


def test_ctrl_c_says_the_way_back(desk: Desk) -> None:
    job = started(desk, "a calm sea [sandbox: slow 30s]")
    with desk.terminal("jobs", "show", "last", "--wait") as terminal:
        terminal.wait_for("%, waiting for the provider to make it")
        terminal.press("\x03")
        assert terminal.end() == 130
    assert f"`rushes jobs show {job} --wait` comes back to it." in terminal.seen
    assert re.search(rf"{job}  \d+s +waiting \d+%  a calm sea", "\n".join(desk.shown("jobs", "list")))
    desk.said("jobs", "cancel", job)


def test_a_job_is_cancelled_once(desk: Desk) -> None:
    job = started(desk, "a calm sea [sandbox: slow 30s]")
    wait_until(lambda: desk.told("jobs", "show", job)[0]["state"] == "waiting")
    run = desk.run("jobs", "cancel", "last")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "cancelled\n")
    assert [told["state"] for told in desk.told("jobs", "list")] == ["cancelled"]
    desk.refused("jobs", "cancel", job)


def test_json_tells_the_job_that_is_cancelled(desk: Desk) -> None:
    job = started(desk, "a calm sea [sandbox: slow 30s]")
    assert desk.told("jobs", "cancel", "last") == [{"jobId": job, "cancelled": True}]


def test_what_is_not_there_is_told(desk: Desk) -> None:
    assert "There is no job in this account yet" in desk.refused("jobs", "show", "last")
    assert UUID in desk.refused("jobs", "show", UUID)
    assert UUID in desk.refused("jobs", "cancel", UUID)
    assert "'done' is not one of 'queued'" in desk.misused("jobs", "list", "--state", "done")
    assert desk.shown("jobs", "list") == ["Nothing to show."]
