"""``rushes keys``: made, listed, revoked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.running import failed, rushes

KEY = re.compile(r"pictai_[A-Za-z0-9_-]{43}")


def test_keys_are_made_listed_and_revoked_and_only_their_hash_is_kept(data: Path) -> None:
    made = rushes("keys", "create", "--data", str(data), cwd=data.parent)
    assert (made.returncode, made.stderr) == (0, f"rushes: made a new library in {data}\n")
    assert KEY.fullmatch(made.stdout.removesuffix("\n")), "the key alone on stdout"
    other = rushes(
        "keys", "create", "--account", "film club", "--label", "März", RUSHES_DATA=str(data), cwd=data.parent
    )
    told = rushes("keys", "list", "--data", str(data), "--json", cwd=data.parent)
    keys = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(key["account"], key["label"], key["revoked"]) for key in keys] == [
        ("default", "", None),
        ("film club", "März", None),
    ]
    revoked = rushes("keys", "revoke", keys[0]["id"], "--data", str(data), cwd=data.parent)
    assert (revoked.returncode, revoked.stdout) == (0, "")
    again = rushes("keys", "revoke", keys[0]["id"], "--data", str(data), cwd=data.parent)
    assert again.returncode == 0
    [first, second] = rushes("keys", "list", "--data", str(data), cwd=data.parent).stdout.splitlines()
    assert len(re.findall(r"\d{4}-\d\d-\d\dT[\d:.]+Z", first)) == 2, "made and revoked"
    assert len(re.findall(r"\d{4}-\d\d-\d\dT[\d:.]+Z", second)) == 1
    files = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    for key in (made.stdout.strip(), other.stdout.strip()):
        assert KEY.fullmatch(key)
        assert key.encode() not in files
        assert key.removeprefix("pictai_").encode() not in files
        assert key not in told.stdout


def test_revoking_an_unknown_key_exits_1_and_names_it(data: Path) -> None:
    rushes("keys", "create", "--data", str(data), cwd=data.parent)
    run = rushes("keys", "revoke", "nobody", "--data", str(data), cwd=data.parent)
    assert (run.returncode, run.stdout) == (1, "")
    assert "nobody" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    "command", [["keys", "list"], ["accounts", "list"], ["webhooks", "list"], ["keys", "revoke", "x"]]
)
def test_a_command_in_the_wrong_folder_makes_no_library_there(data: Path, command: list[str]) -> None:
    run = rushes(*command, cwd=data.parent)
    assert str(data.parent / "rushes-data") in failed(run)
    assert list(data.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["", " club", "film\nclub", "x" * 101])
def test_an_account_that_no_list_could_show_is_refused(data: Path, name: str) -> None:
    assert "cannot be named" in failed(
        rushes("keys", "create", "--account", name, "--data", str(data), cwd=data.parent)
    )
