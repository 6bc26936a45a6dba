"""``rushes generate``: from a prompt to an item, to a file, to a chain of clips."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.cli.desk import Desk
from tests.cli.running import failed, rushes
from tests.conftest import Server, wait_until

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNREACHABLE = "http://127.0.0.1:1"


@pytest.fixture
def desk(sqlite_server: Server, tmp_path: Path) -> Desk:
    return Desk.at(sqlite_server, tmp_path)


def seconds(path: Path) -> float:
    """How long a film is, decoded to its end."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0)) / 24


def test_a_prompt_becomes_an_item_and_its_price_is_told_before_and_after(desk: Desk) -> None:
    run = desk.run("generate", "a red fox in fresh snow", "--duration", "8", "--aspect-ratio", "9:16", "--json")
    item = json.loads(run.stdout)
    assert (run.returncode, run.stdout.count("\n")) == (0, 1)
    assert (item["prompt"], item["duration"], item["aspectRatio"]) == ("a red fox in fresh snow", "8s", "9:16")
    assert run.stderr == "pixverse5.5, 8s: about 12.8 credits\n12.8 credits used\n", "and no progress: nobody looks"
    assert [item] == desk.told("list")


def test_for_people_an_item_is_a_sheet(desk: Desk) -> None:
    [title, *facts] = desk.said("generate", "a calm sea").splitlines()
    assert title == "a calm sea"
    names = [fact.split()[0] for fact in facts]
    assert names == ["id", "model", "length", "size", "made", "file"]


def test_an_image_with_a_style_and_a_reference(desk: Desk) -> None:
    Image.new("RGB", (64, 64), "red").save(desk.folder / "red.png")
    item = desk.made("a lighthouse", "--image", "--style", "vintage", "--reference", "red.png")
    assert UUID.fullmatch(item["id"])
    assert item["style"] == "vintage"
    assert item["referenceImageUrl"].startswith(desk.url)


def test_last_is_the_newest_video_and_its_shape_is_kept(desk: Desk) -> None:
    first = desk.made("the beginning", "--aspect-ratio", "3:4")
    second = desk.made("and then", "--first-frame", "last")
    assert second["firstFrameImageUrl"] == first["lastFrameImageUrl"]
    assert second["aspectRatio"] == "3:4"
    third = desk.made("it goes on", "--extend", second["id"], "--model", "veo3.1_fast", "--duration", "4s")
    assert third["extendVideoUrl"] == second["url"]
    assert third["aspectRatio"] == "9:16", "the nearest that this model has"
    fourth = desk.made("otherwise", "--first-frame", "last", "--aspect-ratio", "1:1")
    assert fourth["aspectRatio"] == "1:1", "what is asked for wins"


def test_a_file_here_is_sent_and_a_films_last_frame_is_taken_out_of_it(desk: Desk) -> None:
    Image.new("RGB", (90, 160), "blue").save(desk.folder / "tall.png")
    tall = desk.made("from a picture", "--first-frame", "tall.png", "-o", "tall.mp4")
    assert (tall["aspectRatio"], seconds(desk.folder / "tall.mp4")) == ("9:16", 5)
    on = desk.made("from a film", "--first-frame", "tall.mp4")
    assert on["firstFrameImageUrl"].startswith(desk.url)
    assert on["firstFrameImageUrl"].endswith(".png")
    assert on["aspectRatio"] == "9:16"


def test_references_keep_their_order(desk: Desk) -> None:
    first, second = desk.made("one red", "--image"), desk.made("two blue", "--image")
    item = desk.made("both of them", "--reference", second["id"], "--reference", first["url"])
    assert item["referenceImageUrls"] == [second["url"], first["url"]]


def test_there_is_no_last_in_an_empty_library(desk: Desk) -> None:
    assert "There is no video in this account yet" in desk.refused("generate", "and then", "--first-frame", "last")


def test_no_wait_prints_the_job_alone_and_the_way_back(desk: Desk) -> None:
    run = desk.run("generate", "later then", "--no-wait")
    assert UUID.fullmatch(run.stdout.removesuffix("\n"))
    assert f"`rushes jobs show {run.stdout.strip()} --wait`" in run.stderr
    assert desk.told("jobs", "show", run.stdout.strip(), "--wait")[0]["state"] == "completed"


def test_the_same_key_is_the_same_job(desk: Desk) -> None:
    first, again = (desk.said("generate", "only once", "--no-wait", "--idempotency-key", "once") for _ in range(2))
    assert first == again


def test_a_failed_job_tells_its_code_and_its_sentence(desk: Desk) -> None:
    run = desk.run("generate", "a calm sea [sandbox: refuse]")
    assert (run.returncode, run.stdout) == (1, "")
    price, sentence = run.stderr.splitlines()
    assert re.match(r"rushes: Job [0-9a-f-]{36} ended with CONTENT_REJECTED: \S.*\.", sentence), price


def test_every_wrong_field_is_told(desk: Desk) -> None:
    run = desk.run("generate", "hi", "--duration", "3")
    assert run.returncode == 1
    assert "prompt must be 5 to 5,000 characters long" in run.stderr
    assert "duration must be one of 5s, 8s, 10s" in run.stderr


def test_a_time_that_is_up_leaves_the_job_running(desk: Desk) -> None:
    run = desk.run("generate", "a calm sea [sandbox: slow 30s]", "--timeout", "1")
    assert run.returncode == 1
    [job] = re.findall(r"`rushes jobs show (\S+) --wait` comes back to it\.", run.stderr)
    assert desk.told("jobs", "show", job)[0]["waitingFor"]
    desk.said("jobs", "cancel", job)


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(desk: Desk) -> None:
    with desk.terminal("generate", "a calm sea [sandbox: slow 6s]") as terminal:
        terminal.wait_for("waiting for the provider to make it")
        terminal.press("\x03")
        assert terminal.end() == 130
    [job] = re.findall(r"The job goes on: `rushes jobs show (\S+) --wait` comes back to it\.", terminal.seen)
    assert desk.told("jobs", "show", job, "--wait")[0]["state"] == "completed"


def test_progress_is_seen_on_a_terminal_and_wiped_away(desk: Desk) -> None:
    with desk.terminal("generate", "a calm sea [sandbox: slow 2s]", columns=40) as terminal:
        terminal.wait_for("waiting for the provider")
        assert terminal.end() == 0
    assert re.search(r"[1-9][0-9]?%, waiting for", terminal.seen)
    assert terminal.raw.rpartition("\x1b[2K")[2].lstrip("\x1b[1m").startswith("a calm sea"), "nothing is left above"


def test_a_server_that_is_away_is_a_sentence(tmp_path: Path) -> None:
    run = rushes("generate", "a calm sea", "--url", UNREACHABLE, "--key", "k", cwd=tmp_path)
    assert "did not answer" in failed(run)


# Chains


def test_a_chain_goes_on_from_frame_to_frame_and_is_joined_without_loss(desk: Desk) -> None:
    prompts = ["waves roll in", "a storm comes", "the sun again"]
    run = desk.run("generate", *prompts, "--chain", "3", "--aspect-ratio", "1:1", "--join", "storm.mp4", "--json")
    clips = [json.loads(line) for line in run.stdout.splitlines()]
    assert [clip["prompt"] for clip in clips] == prompts
    assert [clip.get("firstFrameImageUrl") for clip in clips[1:]] == [clip["lastFrameImageUrl"] for clip in clips[:2]]
    assert {clip["aspectRatio"] for clip in clips} == {"1:1"}
    assert "about 24 credits for 3 clips\n" in run.stderr
    assert "clip 3 of 3: 8 credits used\n" in run.stderr
    assert run.stderr.endswith("joined 3 clips into storm.mp4 (15s, as they are)\n")
    assert seconds(desk.folder / "storm.mp4") == 15
    assert [path.name for path in desk.folder.glob("*.mp4")] == ["storm.mp4"]


def test_one_prompt_serves_all_clips_and_a_folder_takes_them(desk: Desk) -> None:
    (desk.folder / "takes").mkdir()
    clips = desk.told("generate", "waves roll in", "--chain", "2", "-o", "takes")
    assert {clip["prompt"] for clip in clips} == {"waves roll in"}
    assert {path.stem for path in (desk.folder / "takes").iterdir()} == {clip["id"] for clip in clips}


def test_what_ends_in_a_slash_is_a_folder_made_if_it_is_new(desk: Desk) -> None:
    item = desk.made("a calm sea", "-o", "new/takes/")
    desk.told("generate", "waves roll in", "--chain", "1", "-o", "more/")
    assert [path.name for path in (desk.folder / "new/takes").iterdir()] == [f"{item['id']}.mp4"]
    assert len(list((desk.folder / "more").iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_ordered(desk: Desk) -> None:
    (desk.folder / "file").touch()
    assert "file/takes cannot be written: Not a directory." in desk.refused("generate", "a sea", "-o", "file/takes/")
    assert desk.told("jobs", "list") == []


def test_a_full_disk_is_told_with_the_name_of_what_was_to_be_joined(desk: Desk) -> None:
    (desk.folder / ".storm.mp4.part").symlink_to("/dev/full")
    run = desk.run("generate", "waves roll in", "--chain", "2", "--join", "storm.mp4")
    assert run.returncode == 1
    assert "It is in the library: `rushes download " in run.stderr
    assert run.stderr.splitlines()[-1] == "rushes: There is no room for storm.mp4; make some, or name another place."


def test_a_chain_that_breaks_says_how_far_it_came(desk: Desk) -> None:
    run = desk.run("generate", "waves roll in", "a storm [sandbox: fail]", "the sun", "--chain", "3", "--join", "x.mp4")
    [made] = desk.told("list")
    assert run.returncode == 1
    assert f"1 of 3 clips are done, {made['id']} is the last" in run.stderr
    assert "--first-frame last" in run.stderr
    assert run.stderr.splitlines()[-1].startswith("rushes: Job ")
    assert not list(desk.folder.iterdir())


def test_ctrl_c_in_a_chain_says_how_far_it_came(desk: Desk) -> None:
    command = [sys.executable, "-m", "rushes", "generate", "waves", "storm [sandbox: slow 5s]", "--chain", "2"]
    with (
        (desk.folder / "err").open("w+") as err,
        subprocess.Popen(command, env=desk.settings, cwd=desk.folder, stdout=subprocess.PIPE, stderr=err) as process,
    ):
        wait_until(lambda: len(desk.told("jobs", "list")) == 2, what="the second job")
        wait_until(lambda: "clip 1" in (desk.folder / "err").read_text(), what="the first clip")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    said = (desk.folder / "err").read_text()
    assert "1 of 2 clips are done" in said
    assert "The job goes on" in said


def test_a_chain_under_a_key_is_taken_up_again(desk: Desk) -> None:
    asked = ("generate", "waves roll in", "--chain", "2", "--idempotency-key", "chain")
    assert desk.told(*asked) == desk.told(*asked)
    assert len(desk.told("jobs", "list")) == 2


def test_what_cannot_be_written_is_made_all_the_same_and_can_be_fetched(desk: Desk) -> None:
    run = desk.run("generate", "a calm sea", "-o", f"{'x' * 250}.mp4")
    [made] = desk.told("list")
    assert run.returncode == 1
    assert f"It is in the library: `rushes download {made['id']}`." in run.stderr
    assert run.stderr.splitlines()[-1].endswith("cannot be written: File name too long.")


# Used wrongly: nothing is ordered


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a", "red", "fox"], "These are 3 prompts: put the prompt in quotes"),
        (["one", "two", "--chain", "3"], "--chain 3 takes one prompt for all clips or one for each"),
        (["a fox", "--first-frame", "https://a/b.png", "--extend", "https://a/b.mp4"], "Only one of"),
        (["a fox", "--first-frame", "no such file.png"], "is no link, no file here, no id"),
        (["a fox", "--image", "--duration", "5"], "--duration is not for images"),
        (["a fox", "--style", "vintage"], "--style is not for videos"),
        (["a fox", "--style", "nice"], "'nice' is not one of"),
        (["a fox", "--join", "x.mp4"], "--join joins the clips of a --chain"),
        (["a fox", "--no-wait", "-o", "x.mp4"], "--output has to wait"),
        (["a fox", "-o", "nowhere/x.mp4"], "There is no folder nowhere"),
        (["a fox", "-o", f"{'x' * 300}.mp4"], "cannot be written: File name too long"),
        (["a fox", "-o", "x.png"], "x.png will be a file of the kind .mp4"),
        (["a fox", "--chain", "2", "-o", "x.mp4"], "go into a folder, and x.mp4 is none"),
        (["a fox", "--chain", "2", "--idempotency-key", "k" * 254], "too long for a chain"),
        (["a fox", "--extend", "5e0f6c1a-93b4-4d5e-8a43-0c8d7a1f2b96"], "only a video can be extended"),
        (["a fox", *["--reference", "https://a/b.png"] * 4], "At most 3 --reference"),
        ([], "Missing argument"),
    ],
    ids=lambda told: " ".join(told)[:40] if isinstance(told, list) else "",
)
def test_what_is_asked_wrongly_costs_nothing(tmp_path: Path, arguments: list[str], told: str) -> None:
    desk = Desk(UNREACHABLE, "k", tmp_path)
    assert told in desk.misused("generate", *arguments)


def test_without_a_key_nothing_is_asked(tmp_path: Path) -> None:
    assert "There is no key" in Desk(UNREACHABLE, "", tmp_path).misused("generate", "a fox")
