"""``rushes accounts``: what accounts spend, and what they may."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.api.takes import VIDEOS, completed, submit
from tests.cli.running import rushes
from tests.conftest import serving


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the accounts `default` and `studio b`."""
    for account in ("default", "studio b"):
        rushes("keys", "create", "--data", "data", "--account", account, cwd=tmp_path)
    return tmp_path / "data"


def limits(data: Path) -> dict[str, float]:
    listed = rushes("accounts", "list", "--data", str(data), "--json", cwd=data.parent).stdout
    return {told["account"]: told["limit"] for told in map(json.loads, listed.splitlines())}


def set_credits(data: Path, account: str, amount: str) -> int:
    return rushes("accounts", "set-credits", account, amount, "--data", str(data), cwd=data.parent).returncode


def test_an_account_has_the_servers_limit_until_it_has_its_own(data: Path) -> None:
    assert limits(data) == {"default": 1_000_000, "studio b": 1_000_000}
    assert set_credits(data, "studio b", "12.5") == 0
    assert limits(data) == {"default": 1_000_000, "studio b": 12.5}
    assert set_credits(data, "studio b", "default") == 0
    assert limits(data) == {"default": 1_000_000, "studio b": 1_000_000}


@pytest.mark.parametrize("amount", ["many", "nan", "inf", "-1", "0.0000001", "1e13", ""])
def test_what_is_no_amount_changes_nothing(data: Path, amount: str) -> None:
    assert set_credits(data, "default", amount) == 2
    assert limits(data)["default"] == 1_000_000


def test_an_unknown_account_is_told(data: Path) -> None:
    run = rushes("accounts", "set-credits", "nobody", "5", "--data", str(data), cwd=data.parent)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert "There is no account nobody" in run.stderr


def test_a_limit_holds_at_once_and_what_is_spent_is_shown(data: Path) -> None:
    with serving(data) as server, server.client(server.key("default")) as api:
        completed(api, submit(api, duration="5s"))
        listed = rushes("accounts", "list", "--data", str(data), cwd=data.parent).stdout
        assert listed.splitlines()[0] == "default   8 spent, 0 held, of 1,000,000 credits"
        assert set_credits(data, "default", "15.9") == 0
        assert api.post(VIDEOS, json={"prompt": "one too many", "duration": "5s"}).status_code == 402
        assert set_credits(data, "default", "16") == 0
        assert api.post(VIDEOS, json={"prompt": "the last one", "duration": "5s"}).status_code == 200


# --- what they cost at the providers ---

PAID = '[models."pixverse5.5"]\nprovider = "sandbox"\ndollars_per_second = 0.1\n'


def costs(data: Path) -> dict[str, tuple[float, float, float | None]]:
    listed = rushes("accounts", "costs", "--data", str(data), "--json", cwd=data.parent).stdout
    return {
        told["scope"]: (told["spent"], told["held"], told["budget"]) for told in map(json.loads, listed.splitlines())
    }


def set_budget(data: Path, account: str, amount: str) -> int:
    return rushes("accounts", "set-budget", account, amount, "--data", str(data), cwd=data.parent).returncode


def test_a_budget_refuses_what_does_not_fit_before_anything_is_queued(data: Path) -> None:
    (data.parent / "rushes.toml").write_text(PAID)
    assert set_budget(data, "default", "0.99") == 0
    settings = {"RUSHES_CONFIG": str(data.parent / "rushes.toml")}
    with serving(data, None, "--no-worker", settings=settings) as server, server.client(server.key("default")) as api:
        submit(api, duration="5s")
        answer = api.post(VIDEOS, json={"prompt": "one too many", "duration": "5s"})
        assert (answer.status_code, answer.json()["code"]) == (402, "BUDGET_EXCEEDED")
        assert len(api.get("/aistudio/jobs").json()["items"]) == 1
        assert costs(data) == {"account default": (0, 0.5, 0.99), "provider sandbox": (0, 0.5, None)}
        shown = rushes("accounts", "costs", "--data", str(data), cwd=data.parent).stdout.splitlines()
        assert shown == [
            "account default: $0.00 spent, $0.50 held, of $0.99",
            "provider sandbox: $0.00 spent, $0.50 held",
        ]
        assert set_budget(data, "default", "default") == 0
        assert api.post(VIDEOS, json={"prompt": "one more", "duration": "5s"}).status_code == 200


@pytest.mark.parametrize("amount", ["many", "nan", "-1", "0.0000001", "1e13", ""])
def test_what_is_no_budget_changes_nothing(data: Path, amount: str) -> None:
    assert set_budget(data, "default", amount) == 2
    assert costs(data) == {}


def test_a_budget_of_an_account_that_is_not_there_is_told(data: Path) -> None:
    assert set_budget(data, "nobody", "5") == 1


def test_a_priority_is_set_and_shown(data: Path) -> None:
    def set_priority(*told: str) -> tuple[int, str]:
        run = rushes("accounts", "set-priority", "--data", str(data), *told, cwd=data.parent)
        return run.returncode, run.stderr

    assert set_priority("studio b", "7") == (0, "set\n")
    listed = rushes("accounts", "list", "--data", str(data), cwd=data.parent).stdout.splitlines()
    assert [line.partition("; ")[2] for line in listed] == ["", "priority 7"]
    assert set_priority("studio b", "--", "-7") == (0, "set\n")
    told = rushes("accounts", "list", "--data", str(data), "--json", cwd=data.parent).stdout.splitlines()
    assert [json.loads(line)["priority"] for line in told] == [0, -7]
    assert set_priority("nobody", "7") == (
        1,
        "Error: There is no account nobody; `rushes accounts list` shows them.\n",
    )
    assert set_priority("default", "high")[0] == 2
