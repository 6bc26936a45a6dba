"""``rushes list``, ``show``, ``open`` and ``delete``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import httpx2
import pytest
from rich.cells import cell_len

from tests.api.takes import completed, submit
from tests.cli.desk import Desk
from tests.conftest import Server, wait_until

pytestmark = pytest.mark.xdist_group("stocked")  # one library for all of them

LONG = "a red fox in fresh snow, low sun behind the pines, its breath in the cold air, 35mm film"
WIDE = "雪の中の赤い狐、低い太陽、松林の向こう、冷たい空気の中の息"


@pytest.fixture(scope="module")
def stocked(sqlite_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A library of three videos, the last made from the first, and an image; it is only looked at."""
    desk = Desk.at(sqlite_server, tmp_path_factory.mktemp("stocked"))
    with sqlite_server.client(desk.key) as api:
        first = completed(api, submit(api, LONG))
        completed(api, submit(api, WIDE, model="veo3.1_fast", aspectRatio="9:16", duration="4s"))
        completed(api, submit(api, "and\nthen\x1b[31m", firstFrameImageUrl=first["lastFrameImageUrl"]))
    desk.made("a lighthouse", "--image", "--style", "cartoon")
    return desk


def test_json_is_what_the_api_gives_an_item_a_line(stocked: Desk) -> None:
    with httpx2.Client(headers={"Authorization": stocked.key}, trust_env=False) as api:
        listed = api.get(f"{stocked.url}/pictoryapis/v1/aistudio/videos").json()["items"]
    assert stocked.told("list") == listed
    assert len(listed) == 3


@pytest.mark.parametrize(("count", "told"), [("1", 1), ("2", 2), ("0", 3), ("200", 3)])
def test_as_many_as_are_asked_for(stocked: Desk, count: str, told: int) -> None:
    assert len(stocked.told("list", "-n", count)) == told


def test_more_than_a_page_is_walked(sqlite_server: Server, tmp_path: Path) -> None:
    desk = Desk.at(sqlite_server, tmp_path)
    with sqlite_server.client(desk.key) as api:
        jobs = [submit(api, f"take {number} [sandbox: fail]") for number in range(103)]
        wait_until(lambda: len(desk.told("jobs", "list", "-n", "0", "--state", "failed")) == 103, 120, "all jobs' end")
    assert [job["jobId"] for job in desk.told("jobs", "list", "-n", "0")] == jobs[::-1]
    assert len(desk.told("jobs", "list", "-n", "101")) == 101


def test_filters(stocked: Desk) -> None:
    newest, wide, first = stocked.told("list")
    assert stocked.told("list", "--model", "veo3.1_fast") == [wide]
    assert stocked.told("list", "--aspect-ratio", "9:16") == [wide]
    assert stocked.told("list", "-q", "fox snow") == [first]
    assert stocked.told("list", "--continues", first["id"]) == [newest]
    assert stocked.told("list", "--continues", "last") == []
    assert stocked.told("list", "--since", "1h") == [newest, wide, first]
    assert stocked.told("list", "--until", "1h") == []
    assert stocked.told("list", "--since", wide["createdDate"]) == [newest, wide], "from then on"
    assert stocked.told("list", "--until", wide["createdDate"]) == [first], "before then"
    day = f"{datetime.fromisoformat(first['createdDate']).astimezone():%Y-%m-%d}"
    assert len(stocked.told("list", "--since", day)) == 3
    assert [item["style"] for item in stocked.told("list", "--images")] == ["cartoon"]


def test_away_from_a_terminal_a_row_is_whole_and_parted_by_tabs(stocked: Desk) -> None:
    newest, wide, first = stocked.told("list")
    rows = [line.split("\t") for line in stocked.said("list").splitlines()]
    assert [row[0] for row in rows] == [newest["id"], wide["id"], first["id"]]
    assert rows[2][2:] == ["pixverse5.5", "16:9", "5s", LONG]
    assert rows[0][5] == "and then [31m", "what moves the cursor does not pass"
    assert datetime.fromisoformat(rows[1][1]) == datetime.fromisoformat(wide["createdDate"])


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 100, 120])
@pytest.mark.parametrize("command", [["list"], ["list", "--images"], ["jobs", "list"], ["models"]], ids=" ".join)
def test_a_table_fits_the_terminal(stocked: Desk, command: list[str], columns: int) -> None:
    lines = stocked.shown(*command, columns=columns)
    assert max(map(cell_len, lines)) <= columns
    assert len(lines) > 1


def test_at_80_columns_a_row_is_a_line(stocked: Desk) -> None:
    heading, newest, wide, first = stocked.shown("list", columns=80)
    assert heading.split() == ["ID", "AGE", "RATIO", "LENGTH", "PROMPT"]
    assert re.fullmatch(r"[0-9a-f]{33}  \d+[sm] +16:9   5s      a red fox in fresh snow, ?…", first)
    assert wide.endswith("…")
    assert newest.endswith("and then [31m")


def test_at_40_columns_a_row_is_two_lines_and_the_id_is_whole(stocked: Desk) -> None:
    lines = stocked.shown("list", columns=40)
    assert lines[::2] == [item["id"] for item in stocked.told("list")]
    assert "16:9  5s  a red fox" in lines[5]


def test_with_room_the_model_is_told_and_nothing_is_cut(stocked: Desk) -> None:
    lines = stocked.shown("list", columns=200)
    assert lines[0].split() == ["ID", "AGE", "MODEL", "RATIO", "LENGTH", "PROMPT"]
    assert lines[3].endswith(f"pixverse5.5  16:9   5s      {LONG}")


def test_nothing_is_said_where_nothing_is(sqlite_server: Server, tmp_path: Path) -> None:
    desk = Desk.at(sqlite_server, tmp_path)
    assert desk.run("list").stdout == desk.run("list").stderr == ""
    assert desk.shown("list") == ["Nothing to show."]


def test_a_short_list_imports_no_part_of_the_server(stocked: Desk) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "rushes", "list", "-n", "1"]
    run = subprocess.run(command, env=stocked.settings, capture_output=True, text=True, check=True)
    imported = set(re.findall(r"\| +([\w.]+)$", run.stderr, re.MULTILINE))
    assert "rushes.client.synchronous" in imported
    server = ("rushes.studio", "rushes.store", "rushes.api", "rushes.media", "rushes.config", "pydantic", "starlette")
    assert not imported & {*server, "av", "PIL", "numpy", "rich.console"}


# One item


def test_show_tells_one_item(stocked: Desk) -> None:
    newest, _, first = stocked.told("list")
    [image] = stocked.told("list", "--images")
    assert stocked.told("show", first["id"]) == [first]
    assert stocked.told("show", image["id"]) == [image]
    assert stocked.told("show", "last") == [newest]
    title, *facts = stocked.said("show", "last").splitlines()
    assert title == "and then [31m"
    assert facts[-1].split(maxsplit=2) == ["first", "frame", first["lastFrameImageUrl"]]


@pytest.mark.parametrize("columns", [24, 40, 80])
@pytest.mark.parametrize(
    "command", [["show", "last"], ["show"], ["jobs", "show", "last"], ["jobs", "show"], ["quota"]], ids=" ".join
)
def test_a_sheet_fits_the_terminal_and_what_is_copied_stays_whole(
    stocked: Desk, command: list[str], columns: int
) -> None:
    wide = {"show": stocked.told("list")[1]["id"], "jobs show": stocked.told("jobs", "list", "--json")[2]["jobId"]}
    words = [*command, *([wide[" ".join(command)]] if " ".join(command) in wide else [])]
    lines, whole = stocked.shown(*words, columns=columns), stocked.said(*words)
    copied = re.findall(r"https?://\S+|\b[0-9a-f-]{33,36}\b", whole)
    assert [line for line in lines if cell_len(line) > columns and line.strip() not in copied] == []
    assert all(any(word in line for line in lines) for word in copied)
    assert "".join("".join(lines).split()) == "".join(whole.split()), "nothing is lost"


def test_what_is_not_there_is_told(stocked: Desk) -> None:
    assert "There is no video 20261105184210123a1b2c3d4e5f60718" in stocked.refused(
        "show", "20261105184210123a1b2c3d4e5f60718"
    )
    job = stocked.told("jobs", "list", "-n", "1")[0]["jobId"]
    assert re.search(rf"no image {job} .* `rushes jobs show {job}` tells", stocked.refused("show", job))
    assert "is no id" in stocked.misused("show", "../x")


def test_open_hands_the_link_to_the_desktop(stocked: Desk, tmp_path: Path) -> None:
    program = tmp_path / "xdg-open"
    program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened.new && mv {tmp_path}/opened.new {tmp_path}/opened\n')
    program.chmod(0o755)
    command = [sys.executable, "-m", "rushes", "open", "last"]
    environment = {**stocked.settings, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(command, env=environment, check=True)
    wait_until((tmp_path / "opened").exists, what="the program")
    assert (tmp_path / "opened").read_text().strip() == stocked.told("show", "last")[0]["url"]


# Deleted


@pytest.fixture
def desk(sqlite_server: Server, tmp_path: Path) -> Desk:
    return Desk.at(sqlite_server, tmp_path)


def test_delete_asks_first_and_does_as_it_is_told(desk: Desk) -> None:
    item = desk.made("a calm sea")
    for answer, status, left in (("n\n", 1, [item]), ("y\n", 0, [])):
        with desk.terminal("delete", item["id"]) as terminal:
            terminal.wait_for("for good? [y/N]")
            assert f"{item['id']}  a calm sea" in terminal.seen
            terminal.press(answer)
            assert terminal.end() == status
        assert desk.told("list") == left


def test_where_nobody_can_answer_it_wants_yes(desk: Desk) -> None:
    video, image = desk.made("a calm sea"), desk.made("a lighthouse", "--image")
    command = [sys.executable, "-m", "rushes", "delete", "last"]
    run = subprocess.run(command, env=desk.settings, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert "say --yes" in run.stderr
    assert "There is no video nothing" in desk.refused("delete", video["id"], "nothing", "--yes")
    assert desk.told("list") == [video], "a wrong one among several deletes nothing"
    assert desk.said("delete", "last", "--yes") == ""
    assert desk.told("delete", image["id"], image["id"], "--yes") == [{"id": image["id"], "deleted": True}]
    assert desk.told("list") == desk.told("list", "--images") == []


@pytest.mark.parametrize(
    "arguments",
    [["list", "-n", "-1"], ["list", "--since", "yesterday"], ["list", "--until", "9999999d"], ["delete"], ["show"]],
    ids=" ".join,
)
def test_what_is_asked_wrongly_is_told(tmp_path: Path, arguments: list[str]) -> None:
    assert "Usage: rushes" in Desk("http://127.0.0.1:1", "k", tmp_path).misused(*arguments)


def test_a_pipe_that_is_closed_ends_it_quietly(stocked: Desk) -> None:
    command = f"{sys.executable} -m rushes list --json | head -c 1"
    run = subprocess.run(
        ["bash", "-c", command], env={**os.environ, **stocked.settings}, capture_output=True, text=True
    )
    assert (run.stdout, run.stderr) == ("{", "")


@pytest.mark.parametrize(
    "command", [["list"], ["list", "--json"], ["show", "last"], ["list", "--help"], ["--help"]], ids=" ".join
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_where_nothing_more_can_be_written_it_is_a_sentence(stocked: Desk, command: list[str], unbuffered: str) -> None:
    environment = {**os.environ, **stocked.settings, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "rushes", *command], env=environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
    said = "rushes: What the command prints cannot be written: No space left on device.\n"
    assert (run.returncode, run.stderr) == (1, said)
