"""``rushes jobs settle``: a person says what became of a job whose outcome is unknown; and ``rushes doctor``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes import config
from rushes.errors import OutcomeUnknown
from rushes.model import UNKNOWN, JobState
from rushes.store import jobs
from rushes.studio import Studio
from tests.api.takes import ended, submit
from tests.cli.running import rushes
from tests.conftest import Server, serving
from tests.media.clips import make

ROOT = Path(__file__).parents[2]
ROUTES = """
[models."pixverse5.5"]
provider = "tests.work.providers:Slow"
folder = "{folder}"
dollars_per_second = 0.1
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Its provider has the video ready, and hands it out to whoever knows a ticket."""
    make(tmp_path / "clip.mp4", width=64, height=112, frames=12)
    for gate in ("submit", "poll", "download"):
        (tmp_path / gate).touch()
    (tmp_path / "rushes.toml").write_text(ROUTES.format(folder=tmp_path))
    with serving(tmp_path / "data", settings=_settings(tmp_path)) as served:
        yield served


def _settings(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {"RUSHES_CONFIG": str(folder / "rushes.toml"), "PYTHONPATH": path}


def settle(server: Server, *said: str) -> tuple[int, str]:
    folder = server.data.parent
    run = rushes("jobs", "settle", *said, "--data", str(server.data), cwd=folder, **_settings(folder))
    return run.returncode, run.stderr


@pytest.fixture
def lost(server: Server) -> str:
    """A job that was sent and never heard of again."""
    with server.client(server.key("default")) as api:
        (server.data.parent / "submit").unlink()
        job_id = submit(api)
        account_id = server.do(lambda studio: _lose(studio, job_id))
        (server.data.parent / "submit").touch()
        data = ended(api, job_id)["data"]
        assert (data["error_code"], bool(account_id)) == ("OUTCOME_UNKNOWN", True)
    return job_id


async def _lose(studio: Studio, job_id: str) -> str:
    """As a worker does that finds a job another one had sent when it died."""
    import asyncio

    while True:
        found = await jobs.anyones(studio.store, job_id)
        assert found
        if found[0].state is JobState.SUBMITTING:
            await studio.fail(found[0], OutcomeUnknown("Nobody knows."))
            return found[0].account_id
        await asyncio.sleep(0.05)


def test_what_the_provider_made_is_collected_by_its_ticket(server: Server, lost: str) -> None:
    code, said = settle(server, lost, "--ticket", "what its page says")
    assert (code, f"rushes jobs show {lost} --wait" in said) == (0, True), said
    with server.client(server.key("default")) as api:
        assert ended(api, lost)["data"]["status"] == "completed"
        detail = api.get(f"/aistudio/jobs/{lost}").json()
        assert (detail["cost"], detail["costSource"]) == (0.5, "rushes.toml")
    assert settle(server, lost, "--cost", "1")[0] == 1


def test_what_it_did_cost_is_noted(server: Server, lost: str) -> None:
    with server.client(server.key("default")) as api:
        detail = api.get(f"/aistudio/jobs/{lost}").json()
        assert (detail["cost"], detail["costSource"]) == (None, UNKNOWN)
        assert settle(server, lost, "--cost", "0") == (0, "settled at $0\n")
        detail = api.get(f"/aistudio/jobs/{lost}").json()
        assert (detail["cost"], detail["costSource"], detail["state"]) == (0, "settled", "failed")


@pytest.mark.parametrize("said", [[], ["--cost", "1", "--collect"], ["--cost", "much"]])
def test_it_must_be_said_what_became_of_it(server: Server, said: list[str]) -> None:
    assert settle(server, "6e6b7a3c-0b0e-4a0e-9a55-1f5b1c2d3e4f", *said)[0] == 2


def test_a_job_that_is_not_there(server: Server) -> None:
    code, said = settle(server, "6e6b7a3c-0b0e-4a0e-9a55-1f5b1c2d3e4f", "--cost", "1")
    assert (code, said.count("\n")) == (1, 1)
    assert "There is no job" in said


# --- doctor ---


def doctor(folder: Path, routes: str, **settings: str) -> tuple[int, dict[str, tuple[str, str]]]:
    (folder / "rushes.toml").write_text(routes)
    run = rushes("doctor", "--json", cwd=folder, **{**_settings(folder), **settings})
    told = [json.loads(line) for line in run.stdout.splitlines()]
    return run.returncode, {each["what"]: (each["state"], each["sentence"]) for each in told}


def test_a_new_folder_is_well(tmp_path: Path) -> None:
    code, found = doctor(tmp_path, "")
    assert (code, found["models"][0]) == (0, "ok")
    assert found["SQLite in rushes-data"][0] == "untried"


def test_a_database_that_answers(tmp_path: Path) -> None:
    rushes("keys", "create", cwd=tmp_path)
    assert doctor(tmp_path, "")[1]["SQLite in rushes-data"] == ("ok", "it answers")


def test_each_route_is_tried_and_what_cannot_be_is_said(tmp_path: Path) -> None:
    routes = (
        '[models."veo3.1"]\nprovider = "openai_compatible"\nid = "x"\nbase_url = "http://127.0.0.1:1/v1"\n'
        '[models."pixverse5.5"]\nprovider = "sandbox"\n'
        f'[models."veo3.1_fast"]\nprovider = "tests.work.providers:Slow"\nfolder = "{tmp_path}"\n'
        '[models."nanobanana"]\nprovider = "fal"\n'
    )
    code, found = doctor(tmp_path, routes)
    assert code == 1
    assert found["veo3.1 at openai_compatible"][0] == "wrong"
    assert "could not be reached" in found["veo3.1 at openai_compatible"][1]
    assert found["pixverse5.5 at sandbox"][0] == "ok"
    assert found["veo3.1_fast at tests.work.providers:Slow"][0] == "untried"
    assert "FAL_KEY" in found["nanobanana at fal"][1]


def test_a_setting_is_needed_where_there_is_a_budget(tmp_path: Path) -> None:
    told = config.Config.model_validate(
        {"data": tmp_path, "account_budget": 5, "models": {"veo3.1": {"provider": "tests.work.providers:Scripted"}}}
    )
    from rushes.errors import BadSetting
    from rushes.providers.routes import Routes

    with pytest.raises(BadSetting, match="dollars_per_second"):
        Routes(told).check()
