"""The images that the sandbox draws: real PNGs, told apart, each style to be seen."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rushes.catalogue import IMAGE_MODELS, STYLES
from rushes.errors import Unreadable
from rushes.media.probe import examine_image
from rushes.model import Kind
from rushes.providers import Done, Inputs, Order, Setup
from rushes.providers.sandbox import Sandbox
from rushes.providers.sandbox.ticket import from_text
from tests.providers.sandboxed import Clock, Picture, image, image_order, made, order, polled, submitted

SIGNATURE = b"\x89PNG\r\n\x1a\n"
NO_STYLE_AND_EACH = (None, *STYLES)
PROMPTS = ("a calm sea at sunset", "a fox in a green forest", "Tokyo at night", "violet silk", "snowy mountains", "fog")


def drawn(wanted: Order, folder: Path) -> Picture:
    return image(made(wanted, folder / "a.png"))


def sizes() -> Iterator[tuple[str, str, int, int]]:
    for model in IMAGE_MODELS.values():
        for ratio, (width, height) in model.sizes.items():
            yield model.name, ratio, width, height


@pytest.mark.parametrize(("model", "ratio", "width", "height"), list(sizes()))
def test_each_model_draws_each_ratio_at_its_exact_size(
    model: str, ratio: str, width: int, height: int, tmp_path: Path
) -> None:
    wanted = image_order(model=model, aspect_ratio=ratio, width=width, height=height)
    png = made(wanted, tmp_path / "a.png")
    assert png.read_bytes().startswith(SIGNATURE)
    assert image(png).shape == (height, width, 3)


@pytest.mark.parametrize("style", NO_STYLE_AND_EACH)
def test_the_same_request_gives_the_same_bytes_whichever_job_it_is(style: str | None, tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), "teal").save(tmp_path / "in.png")
    once = made(image_order(reference=tmp_path / "in.png", style=style), tmp_path / "a.png")
    other_job = "00000000-0000-0000-0000-000000000002"
    again = made(image_order(reference=tmp_path / "in.png", style=style, job_id=other_job), tmp_path / "b.png")
    assert once.read_bytes() == again.read_bytes()


def test_another_request_gives_another_picture(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), "teal").save(tmp_path / "in.png")
    other = (
        image_order(),
        image_order("a calm sea."),
        image_order(model="nanobanana"),
        image_order(width=640),
        image_order(reference=tmp_path / "in.png"),
        *(image_order(style=style) for style in STYLES),
    )
    assert len({made(wanted, tmp_path / "a.png").read_bytes() for wanted in other}) == len(other)


# --- what is on it ---


@pytest.mark.parametrize("style", [each for each in NO_STYLE_AND_EACH if each != "vintage"])
def test_a_colour_word_is_seen(style: str | None, tmp_path: Path) -> None:
    words = ("red", "green", "blue")
    means = np.array([drawn(image_order(word, style=style), tmp_path).mean((0, 1)) for word in words])
    shares = means / means.sum(axis=1, keepdims=True)
    assert shares.argmax(axis=0).tolist() == [0, 1, 2]


@pytest.mark.parametrize("style", NO_STYLE_AND_EACH)
def test_the_prompt_can_be_read(style: str | None, tmp_path: Path) -> None:
    """Letters stand out from their panel: the same request with no words has no such edges there."""
    few, many = (
        image_order(words, style=style, width=1024, height=1024) for words in ("red", "red " + "lettering " * 12)
    )
    assert contrast(drawn(many, tmp_path)) > 1.5 * contrast(drawn(few, tmp_path))


def contrast(picture: Picture) -> int:
    """How often light jumps to dark, or back, within two pixels where the lettering is."""
    light = picture[-160:, 60:860].astype(int).mean(axis=2)
    return int((np.abs(light[:, 2:] - light[:, :-2]) > 110).sum())


@pytest.mark.parametrize("style", NO_STYLE_AND_EACH)
def test_the_reference_is_recognised_in_every_style(style: str | None, tmp_path: Path) -> None:
    halves = Image.new("RGB", (200, 200), (20, 200, 190))
    halves.paste((220, 40, 160), (100, 0, 200, 200))
    halves.save(tmp_path / "in.png")
    picture = drawn(image_order("grey fog", reference=tmp_path / "in.png", style=style), tmp_path)
    left, right = (_middle(picture[:200], colour) for colour in ((20, 200, 190), (220, 40, 160)))
    assert left < 200 < right


def _middle(picture: Picture, colour: tuple[int, int, int]) -> float:
    near = (np.abs(picture.astype(int) - colour).max(axis=2) < 12).nonzero()[1]
    assert len(near) > 1500, colour
    return float(near.mean())


# --- each style is to be seen ---


def share_of_commonest(picture: Picture, count: int) -> float:
    """How much of the picture its ``count`` commonest colours fill."""
    codes = picture.astype(int) @ (65536, 256, 1)
    return sum(n for _, n in Counter(codes.ravel().tolist()).most_common(count)) / codes.size


def grain(picture: Picture) -> float:
    """How much the typical pixel of the sky differs from the one beside it."""
    sky = picture[20:180, 20:-20].astype(int)
    return float(np.median(np.abs(sky[:, 1:] - sky[:, :-1]).sum(axis=2)))


def edges(picture: Picture) -> float:
    """How much of the upper part changes at a scale at which grain has averaged out."""
    calm = Image.fromarray(picture).crop((20, 20, picture.shape[1] - 20, 180)).reduce(3)
    sky = np.asarray(calm, int).sum(axis=2)
    return float((np.abs(sky[:, 1:] - sky[:, :-1]) > 24).mean())


def in_browns(picture: Picture) -> float:
    """How much of the picture has the hue of old paper."""
    red, green, blue = (picture[:, :, channel].astype(int) for channel in range(3))
    return float(((red >= green - 3) & (green >= blue - 3) & (np.abs(2 * green - red - blue) < 60)).mean())


def outlined(picture: Picture) -> float:
    """How much of the picture is the ink of outlines."""
    return float((np.abs(picture.astype(int) - (27, 19, 38)).max(axis=2) < 3).mean())


def neon(picture: Picture) -> float:
    """How much of the picture shines in a pure colour."""
    return float((np.ptp(picture.astype(int), axis=2) > 150).mean())


TRAITS: dict[str, Callable[[Picture], bool]] = {
    "photorealistic": lambda seen: grain(seen) > 12 and in_browns(seen) < 0.7,
    "artistic": lambda seen: edges(seen) > 0.2,
    "cartoon": lambda seen: share_of_commonest(seen, 12) > 0.6 and outlined(seen) > 0.015,
    "minimalist": lambda seen: share_of_commonest(seen, 4) > 0.9,
    "vintage": lambda seen: in_browns(seen) > 0.97,
    "futuristic": lambda seen: bool(np.median(seen.mean(axis=2)) < 48) and neon(seen) > 0.008,
}


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("style", NO_STYLE_AND_EACH)
def test_each_style_looks_like_itself_and_like_no_other(style: str | None, prompt: str, tmp_path: Path) -> None:
    picture = drawn(image_order(prompt, style=style), tmp_path)
    assert [name for name, trait in TRAITS.items() if trait(picture)] == ([style] if style else [])


def test_there_is_a_trait_to_see_of_every_style() -> None:
    assert set(TRAITS) == set(STYLES)


# --- what the prompt asks of the sandbox itself ---


def test_a_damaged_delivery_is_a_png_cut_short(tmp_path: Path) -> None:
    whole = made(image_order("a sea [sandbox:]"), tmp_path / "whole.png")
    examine_image(whole)
    damaged = made(image_order("a sea [sandbox: damaged]"), tmp_path / "a.png")
    assert damaged.read_bytes().startswith(SIGNATURE)
    with pytest.raises(Unreadable, match="truncated"):
        examine_image(damaged)


@pytest.mark.parametrize(
    ("word", "start"), [("not-a-video", b"<!doctype html>"), ("not-an-image", b"<!doctype html>"), ("empty", b"")]
)
def test_a_delivery_may_be_no_image(word: str, start: bytes, tmp_path: Path) -> None:
    junk = made(image_order(f"a sea [sandbox: {word}]"), tmp_path / "a.png").read_bytes()
    assert junk.startswith(start)
    assert bool(junk) == bool(start)


@pytest.mark.parametrize("style", NO_STYLE_AND_EACH)
@pytest.mark.parametrize("prompt", ["", "\x00\x1b[31m\u202e\ud800", "🦊🎬", "日落时分的海边" * 20, "x" * 5000])
def test_no_text_is_too_strange(style: str | None, prompt: str, tmp_path: Path) -> None:
    assert drawn(image_order(prompt, style=style), tmp_path).shape == (400, 400, 3)


# --- tickets ---


def test_a_ticket_carries_kind_and_style() -> None:
    ticket = from_text(submitted(image_order(style="vintage")))
    assert (ticket.kind, ticket.style) == (Kind.IMAGE, "vintage")


def test_a_ticket_from_before_there_were_images_is_a_videos(tmp_path: Path) -> None:
    Image.new("RGB", (64, 96), "teal").save(tmp_path / "in.png")
    wanted = order(inputs=Inputs(references=(tmp_path / "in.png",)), seconds=1)
    facts = json.loads(submitted(wanted))
    old = json.dumps({name: value for name, value in facts.items() if name not in ("kind", "style")})
    done = polled(old, Clock())
    assert isinstance(done, Done)
    asyncio.run(Sandbox(Setup("pixverse5.5")).download(done, tmp_path / "old.mp4"))
    assert (tmp_path / "old.mp4").read_bytes() == made(wanted, tmp_path / "new.mp4").read_bytes()
