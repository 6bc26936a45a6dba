"""What the sandbox draws: real MP4s, told apart, opening where they should."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from rushes.providers import Inputs
from rushes.providers.sandbox.fonts import NO_FONT, font_for
from tests.providers.sandboxed import Picture, decoded, made, order, psnr, scenery

SIZES = ((720, 1280), (1280, 720), (832, 1120), (960, 960), (1920, 1080), (1080, 1920))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_file_is_what_was_ordered(tmp_path: Path, width: int, height: int) -> None:
    mp4 = made(order(width=width, height=height, seconds=1), tmp_path / "a.mp4")
    film = decoded(mp4)
    assert (film.width, film.height, len(film.frames)) == (width, height, 24)
    assert (film.pixels, film.seconds, film.rate) == ("yuv420p", 1.0, Fraction(24))
    data = mp4.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_the_same_request_gives_the_same_bytes_whichever_job_it_is(tmp_path: Path) -> None:
    scenery(300, 500).save(tmp_path / "in.jpg")
    files = Inputs(first_frame=tmp_path / "in.jpg", references=(tmp_path / "in.jpg",))
    once = made(order(inputs=files), tmp_path / "a.mp4")
    again = made(order(inputs=files, job_id="00000000-0000-0000-0000-000000000002"), tmp_path / "b.mp4")
    assert digest(once) == digest(again)


def test_another_request_gives_other_pictures(tmp_path: Path) -> None:
    scenery(300, 500).save(tmp_path / "in.jpg")
    other = (
        order(),
        order("a calm sea."),
        order(model="veo3.1"),
        order(seconds=3),
        order(width=480, height=320),
        order(inputs=Inputs(first_frame=tmp_path / "in.jpg")),
        order(inputs=Inputs(references=(tmp_path / "in.jpg",))),
    )
    assert len({digest(made(wanted, tmp_path / "a.mp4")) for wanted in other}) == len(other)


def test_it_moves(tmp_path: Path) -> None:
    for prompt in ("sea", "hills", "forest", "night", "snow", "desert", "city", "silk"):
        frames = decoded(made(order(prompt), tmp_path / "a.mp4")).frames
        assert np.abs(frames[0].astype(int) - frames[47]).mean() > 0.7, prompt


@pytest.mark.parametrize(
    ("word", "channels"),
    [("red", (0, 2)), ("deep blue", (2, 0)), ("green", (1, 0)), ("gold", (0, 2)), ("红色", (0, 2))],
)
def test_a_colour_word_is_seen(tmp_path: Path, word: str, channels: tuple[int, int]) -> None:
    frame = decoded(made(order(f"{word} something", seconds=1), tmp_path / "a.mp4")).frames[12]
    more, less = (frame[:300, :, channel].mean() for channel in channels)
    assert more > less + 25


# --- the lettering ---


def white(frame: Picture) -> int:
    """How many pixels of the lower half are as white as letters are."""
    return int((frame[frame.shape[0] // 2 :].min(axis=2) > 215).sum())


def test_lettering_is_there_from_the_first_frame(tmp_path: Path) -> None:
    frames = decoded(made(order("red"), tmp_path / "a.mp4")).frames
    assert white(frames[0]) > 80
    assert white(decoded(made(order("red " + "many words " * 9), tmp_path / "b.mp4")).frames[0]) > 2 * white(frames[0])


def test_lettering_stays_off_a_given_opening_frame_and_comes_after_it(tmp_path: Path) -> None:
    Image.new("RGB", (320, 480), (40, 60, 90)).save(tmp_path / "in.png")
    frames = decoded(made(order("black", Inputs(first_frame=tmp_path / "in.png")), tmp_path / "a.mp4")).frames
    assert max(frames[number][300:].min(axis=2).max() for number in (0, 4, 8)) < 90
    assert white(frames[30]) > 80


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("plain", "plain"),
        ("cafe\u0301", "caf\u00e9"),
        ("ab\U000f1234", "ab"),
        ("\U000f1234" * 9 + "ab", NO_FONT),
        ("", ""),
    ],
)
def test_what_no_font_has_is_left_out_or_said_so(text: str, drawn: str) -> None:
    assert font_for(text, 20)[1] == drawn


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " \n\t ",
        "\x00\x07\x1b[31m\u202e\ufeff\ud800",
        "🦊🎬👩‍👩‍👧‍👦",
        "مرحبا بالعالم",
        "日落时分的海边" * 20,
        "x" * 5000,
        "word " * 1000,
        "a\u0301" * 300,
        "%s {0} \\n [sandbox] [sandbox:] [",
    ],
)
def test_no_text_is_too_strange(tmp_path: Path, prompt: str) -> None:
    assert len(decoded(made(order(prompt, seconds=1), tmp_path / "a.mp4")).frames) == 24


# --- the opening frame ---


@pytest.mark.parametrize(("width", "height"), [(320, 480), (900, 500), (97, 301)])
def test_the_first_frame_is_the_given_image(tmp_path: Path, width: int, height: int) -> None:
    """Scaled to cover, cropped around the middle."""
    scenery(width, height).save(tmp_path / "in.png")
    frames = decoded(made(order(inputs=Inputs(first_frame=tmp_path / "in.png")), tmp_path / "a.mp4")).frames
    scale = max(320 / width, 480 / height)
    left, top = (width - 320 / scale) / 2, (height - 480 / scale) / 2
    box = (left, top, width - left, height - top)
    covering = scenery(width, height).resize((320, 480), Image.Resampling.LANCZOS, box)
    assert psnr(frames[0], np.asarray(covering)) >= 38
    assert psnr(frames[40], np.asarray(covering)) < 20


def test_even_a_busy_first_frame_is_kept(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    noise = np.repeat(chance.integers(0, 256, (480, 320, 1), np.uint8), 3, axis=2)
    Image.fromarray(noise).save(tmp_path / "in.png")
    frames = decoded(made(order(inputs=Inputs(first_frame=tmp_path / "in.png")), tmp_path / "a.mp4")).frames
    assert psnr(frames[0], noise) >= 38


def test_transparency_lies_on_white_and_a_photograph_stands_upright(tmp_path: Path) -> None:
    Image.new("RGBA", (320, 480), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    frames = decoded(made(order(inputs=Inputs(first_frame=tmp_path / "clear.png")), tmp_path / "a.mp4")).frames
    assert frames[0].min() > 250
    lying, exif = scenery(320, 480).rotate(90, expand=True), Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise to stand
    lying.save(tmp_path / "lying.png", exif=exif)
    frames = decoded(made(order(inputs=Inputs(first_frame=tmp_path / "lying.png")), tmp_path / "a.mp4")).frames
    assert psnr(frames[0], np.asarray(scenery(320, 480))) >= 38


def test_an_extension_opens_on_the_sources_last_frame(tmp_path: Path) -> None:
    source = made(order("a red forest with many trees"), tmp_path / "source.mp4")
    longer = made(order("blue hills", Inputs(extend_video=source)), tmp_path / "longer.mp4")
    last = decoded(source).frames[-1]
    frames = decoded(longer).frames
    assert psnr(frames[0], last) >= 38
    assert psnr(frames[0], decoded(source).frames[-12]) < psnr(frames[0], last) - 3


def test_an_extension_of_another_shape_is_cropped(tmp_path: Path) -> None:
    source = made(order("city", width=640, height=480), tmp_path / "source.mp4")
    frames = decoded(made(order(inputs=Inputs(extend_video=source)), tmp_path / "longer.mp4")).frames
    assert psnr(frames[0], decoded(source).frames[-1][:, 160:480]) >= 38


# --- references ---


def test_references_stand_in_order(tmp_path: Path) -> None:
    colours = ((200, 30, 30), (30, 170, 60), (40, 60, 210), (230, 200, 40))
    paths = tuple(tmp_path / f"{n}.png" for n in range(4))
    for path, colour in zip(paths, colours, strict=True):
        Image.new("RGB", (200, 200), colour).save(path)
    frame = decoded(made(order("silver", Inputs(references=paths), width=720, height=1280), tmp_path / "a.mp4")).frames[
        24
    ]
    middles = [_middle(frame, colour) for colour in colours]
    assert middles == sorted(middles)
    assert middles[-1] - middles[0] > 300


def _middle(frame: Picture, colour: tuple[int, int, int]) -> float:
    near = (np.abs(frame[:500].astype(int) - colour).max(axis=2) < 24).nonzero()[1]
    assert len(near) > 2000, colour
    return float(near.mean())


def test_many_references_of_any_shape_fit(tmp_path: Path) -> None:
    paths = tuple(tmp_path / f"{n}.png" for n in range(9))
    for number, path in enumerate(paths):
        picture = Image.new("RGB", (40 + 300 * (number % 3), 500 - 55 * number))
        ImageDraw.Draw(picture).ellipse((0, 0, 30, 30), "white")
        picture.save(path)
    assert len(decoded(made(order(inputs=Inputs(references=paths)), tmp_path / "a.mp4")).frames) == 48
