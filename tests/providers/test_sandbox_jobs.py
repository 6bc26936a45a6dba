"""How the sandbox behaves as a provider: tickets, time, bad inputs, and failing when asked to."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from rushes.errors import (
    BadSetting,
    ContentRejected,
    InputNotAnImage,
    InputNotAVideo,
    ModelRetired,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.providers import Done, Inputs, Order, Pending, Refused, Setup
from rushes.providers.sandbox import Sandbox
from rushes.providers.sandbox.orders import WORDS
from tests.providers.sandboxed import Clock, decoded, image_order, made, order, polled, scenery, submitted

DOCS = Path(__file__).parents[2] / "docs" / "sandbox.md"
Ordered = Callable[..., Order]
each_kind = pytest.mark.parametrize("ordered", [order, image_order])


@each_kind
def test_an_order_is_done_at_the_first_poll_for_nothing(ordered: Ordered) -> None:
    clock = Clock()
    answer = polled(submitted(ordered("a sea"), clock), clock)
    assert isinstance(answer, Done)
    assert answer.cost == 0


def test_a_ticket_needs_nothing_that_was_there_at_submit(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    scenery(320, 480).save(files / "in.png")
    ticket = submitted(order(inputs=Inputs(first_frame=files / "in.png", references=(files / "in.png",))))
    shutil.rmtree(files)
    done = polled(ticket, Clock())
    assert isinstance(done, Done)
    (tmp_path / "a.mp4").write_bytes(b"what was here before")
    asyncio.run(Sandbox(Setup("pixverse5.5")).download(done, tmp_path / "a.mp4"))
    assert len(decoded(tmp_path / "a.mp4").frames) == 48


def test_it_takes_as_long_as_its_option_says() -> None:
    clock = Clock()
    sandbox = Sandbox(Setup("pixverse5.5", options={"takes": 4}), now=clock)
    ticket = asyncio.run(sandbox.submit(order()))
    clock.time += 1
    assert asyncio.run(sandbox.poll(ticket)) == Pending(0.5, 0.25)
    clock.time += 3
    assert isinstance(asyncio.run(sandbox.poll(ticket)), Done)


@pytest.mark.parametrize("options", [{"takes": "long"}, {"takes": -1}, {"speed": 2}])
def test_an_option_it_does_not_know_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadSetting):
        Sandbox(Setup("pixverse5.5", options=options))


# --- inputs that are not what they should be ---


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n" + bytes(200)])
def test_a_file_that_is_no_image_is_told(tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "in.png"
    bad.write_bytes(content)
    film, referring = order(inputs=Inputs(first_frame=bad)), order(inputs=Inputs(references=(bad,)))
    for wanted in (film, referring, image_order(reference=bad)):
        with pytest.raises(InputNotAnImage):
            submitted(wanted)


def test_an_image_cut_short_is_none(tmp_path: Path) -> None:
    scenery(300, 300).save(tmp_path / "in.jpg")
    (tmp_path / "in.jpg").write_bytes((tmp_path / "in.jpg").read_bytes()[:4000])
    with pytest.raises(InputNotAnImage):
        submitted(order(inputs=Inputs(first_frame=tmp_path / "in.jpg")))


def test_a_file_that_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(b"<html>not found</html>")
    with pytest.raises(InputNotAVideo):
        submitted(order(inputs=Inputs(extend_video=tmp_path / "in.mp4")))


def test_a_video_cut_short_is_extended_from_what_is_left(tmp_path: Path) -> None:
    whole = made(order("city", seconds=3), tmp_path / "in.mp4").read_bytes()
    (tmp_path / "in.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    made(order(inputs=Inputs(extend_video=tmp_path / "in.mp4")), tmp_path / "a.mp4")
    assert len(decoded(tmp_path / "a.mp4").frames) == 48


# --- failing when asked to ---


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("reject", ContentRejected),
        ("retired", ModelRetired),
        ("unavailable", ModelUnavailable),
        ("unreachable", ProviderUnreachable),
        ("fial", ProviderFailed),
    ],
)
@each_kind
def test_a_word_that_ends_the_submit(ordered: Ordered, word: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        submitted(ordered(f"a sea [sandbox: {word}] at dusk"))


@pytest.mark.parametrize(("word", "error"), [("fail", ProviderFailed), ("refuse", ContentRejected)])
@pytest.mark.parametrize(("ordered", "other"), [(order, "image"), (image_order, "video")])
def test_a_word_that_ends_an_accepted_order_for_nothing(
    ordered: Ordered, other: str, word: str, error: type[Exception]
) -> None:
    clock = Clock()
    answer = polled(submitted(ordered(f"[Sandbox:{word}] a sea"), clock), clock)
    assert isinstance(answer, Refused)
    assert type(answer.error) is error
    assert other not in answer.error.sentence
    assert answer.cost == 0


@each_kind
def test_stall_never_ends(ordered: Ordered) -> None:
    clock = Clock()
    ticket = submitted(ordered("[sandbox: stall]"), clock)
    clock.time += 10**9
    assert isinstance(polled(ticket, clock), Pending)


@each_kind
def test_slow_tells_its_progress_and_then_ends_as_it_would(ordered: Ordered) -> None:
    clock = Clock()
    ticket, sour = (submitted(ordered(f"[sandbox: {words}]"), clock) for words in ("slow 20s", "slow 20s, fail"))
    seen = []
    for _ in range(3):
        answer = polled(ticket, clock)
        assert isinstance(answer, Pending)
        assert isinstance(polled(sour, clock), Pending)
        assert answer.poll_after == 0.5
        seen.append(answer.progress)
        clock.time += 8
    assert seen == pytest.approx([0, 0.4, 0.8])
    assert isinstance(polled(ticket, clock), Done)
    assert isinstance(polled(sour, clock), Refused)


@each_kind
def test_flaky_cannot_be_polled_for_a_while(ordered: Ordered) -> None:
    clock = Clock()
    ticket = submitted(ordered("[sandbox: flaky 5s]"), clock)
    with pytest.raises(ProviderUnreachable):
        polled(ticket, clock)
    clock.time += 5
    assert isinstance(polled(ticket, clock), Done)


def test_a_damaged_delivery_is_a_video_cut_short(tmp_path: Path) -> None:
    whole = made(order("a sea [sandbox:]"), tmp_path / "whole.mp4")
    damaged = made(order("a sea [sandbox: damaged]"), tmp_path / "a.mp4")
    assert damaged.stat().st_size < 0.8 * whole.stat().st_size
    assert len(decoded(whole).frames) == 48
    with pytest.raises(av.error.FFmpegError):
        decoded(damaged)


@pytest.mark.parametrize("word", ["not-a-video", "empty"])
def test_a_delivery_may_be_no_video(tmp_path: Path, word: str) -> None:
    junk = made(order(f"a sea [sandbox: {word}]"), tmp_path / "a.mp4")
    with pytest.raises(av.error.FFmpegError):
        av.open(str(junk))


@pytest.mark.parametrize("aside", ["fial", "slow soon", "fail refuse", "slow 1e9"])
def test_a_word_it_does_not_know_is_said_so(aside: str) -> None:
    with pytest.raises(ProviderFailed, match=r"it knows: .*stall"):
        submitted(order(f"[sandbox: {aside}]"))


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_documented(word: str) -> None:
    assert f"`[sandbox: {word}" in DOCS.read_text()
