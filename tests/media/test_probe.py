"""What is no video or no image is refused with a sentence; an image's size is the one it is shown in."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from rushes.errors import Unreadable
from rushes.media import ImageFacts, image
from rushes.media.probe import EXIF_ORIENTATION, check_size, examine_image, opened
from rushes.media.stills import examine, examine_last

from . import clips


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def written(data: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(data)
        return path

    return write


def picture(path: Path) -> Path:
    Image.new("RGB", (64, 64), "red").save(path, format="PNG")
    return path


def playlist(path: Path) -> Path:
    """Names another video: a reader that follows it would read whatever file or address is named."""
    other = clips.make(path.with_name("other.ts"), format="mpegts")
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")
    return path


def scrambled(path: Path) -> Path:
    """Every sample is noise; the index is whole."""
    data = bytearray(clips.make(path).read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = b"\xff" * (end - start)
    path.write_bytes(data)
    return path


NO_VIDEOS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (written(b""), "not a readable MP4"),
    "junk": (written(bytes(range(256)) * 40), "not a readable MP4"),
    "text": (written(b"<html><body>Gone</body></html>"), "not a readable MP4"),
    "image": (picture, "not a readable MP4"),
    "playlist": (playlist, "not a readable MP4"),
    "webm": (lambda p: clips.make(p, codec="libvpx-vp9", format="webm", options={}), "not a readable MP4"),
    "sound only": (clips.sound_only, "no video in it"),
    "no frames": (lambda p: clips.make(p, frames=0, sound=1), "no video|Not one frame"),
    "noise for frames": (scrambled, "Not one frame|not a readable MP4"),
    "cut off, moov behind": (lambda p: cut(clips.make(p), 0.6), "cut off before its index"),
    "cut off, moov in front": (lambda p: cut(clips.make(p, movflags="faststart"), 0.8), "cut off"),
    "cut off in a fragment": (
        lambda p: cut(clips.make(p, movflags="frag_keyframe+empty_moov+skip_trailer"), 0.95),
        "cut off",
    ),
    "too wide": (lambda p: clips.make(p, width=8200, height=16, frames=1), "8200 x 16 pixels"),
    "too long": (lambda p: clips.make(p, frames=2, pts=lambda n: n * 31 * 60 * 24), "seconds long"),
    "too long, fragmented": (
        lambda p: clips.make(p, frames=2, pts=lambda n: n * 31 * 60 * 24, movflags="frag_keyframe+empty_moov"),
        "seconds long",
    ),
}


def to_stills(video: Path) -> None:
    examine(video, video.parent)


def to_last_frame(video: Path) -> None:
    examine_last(video, video.parent / "to.png")


@pytest.mark.parametrize("name", NO_VIDEOS)
def test_what_is_no_video_is_refused(name: str, tmp_path: Path) -> None:
    maker, sentence = NO_VIDEOS[name]
    video = maker(tmp_path / "video.mp4")
    for read in (to_stills, to_last_frame):
        with pytest.raises(Unreadable, match=sentence) as caught:
            read(video)
        assert str(tmp_path) not in caught.value.sentence
        assert caught.value.sentence.endswith(".")


@pytest.mark.parametrize(("width", "height"), [(8193, 1), (1, 8193), (0, 5), (5, 0)])
def test_sizes_have_limits(width: int, height: int) -> None:
    with pytest.raises(Unreadable):
        check_size(width, height)
    check_size(8192, 8192)
    check_size(1, 1)


@pytest.mark.parametrize(("seconds", "frames"), [(0, 1), (1 / 24, 2), (0.3, 9), (0.34, 10), (9, 24)])
@pytest.mark.parametrize("key_every", [8, 100])
def test_the_end_of_a_video_is_what_is_shown_then_and_no_more(
    seconds: float, frames: int, key_every: int, tmp_path: Path
) -> None:
    with opened(clips.make(tmp_path / "clip.mp4", key_every=key_every, b_frames=2)) as file:
        found = file.ending(seconds)
    assert [at for at, _ in found] == pytest.approx([number / 24 for number in range(24 - frames, 24)])


@pytest.mark.parametrize(("kind", "told"), [("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp"), ("MPO", "jpeg")])
def test_images_are_known_by_what_they_are(kind: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "no-extension"
    more = {"save_all": True, "append_images": [Image.new("RGB", (8, 8))]} if kind == "MPO" else {}
    Image.new("RGB", (30, 20), "red").save(path, format=kind, **more)
    facts = asyncio.run(image(path))
    assert (facts.width, facts.height, facts.format) == (30, 20, told)


@pytest.mark.parametrize(("orientation", "shown"), [(1, (30, 20)), (3, (30, 20)), (6, (20, 30)), (8, (20, 30))])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_is_as_large_as_it_is_shown(
    kind: str, orientation: int, shown: tuple[int, int], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    Image.new("RGB", (30, 20), "red").save(tmp_path / "image", format=kind, exif=exif)
    facts = examine_image(tmp_path / "image")
    assert (facts.width, facts.height) == shown


def saved(kind: str, share: float = 1.0) -> Callable[[Path], Path]:
    def save(path: Path) -> Path:
        Image.effect_noise((200, 100), 50).convert("RGB").save(path, format=kind)
        return cut(path, share)

    return save


def bomb(path: Path, side: int = 60_000) -> Path:
    """A PNG of 1 kB that says it is ``side`` pixels on a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


NO_IMAGES: dict[str, Callable[[Path], Path]] = {
    "nothing": written(b""),
    "text": written(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "gif": saved("GIF"),
    "tiff": saved("TIFF"),
    "video": clips.make,
    "half a png": saved("PNG", 0.5),
    "half a jpeg": saved("JPEG", 0.5),
    "half a webp": saved("WEBP", 0.5),
    "bomb": bomb,
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_image_is_refused(name: str, tmp_path: Path) -> None:
    path = NO_IMAGES[name](tmp_path / "image")
    with pytest.raises(Unreadable) as caught:
        examine_image(path)
    assert str(tmp_path) not in caught.value.sentence
    assert caught.value.sentence.endswith(".")


def test_a_bomb_is_refused_for_its_size(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="9000 x 9000 pixels"):  # Pillow itself would take it
        examine_image(bomb(tmp_path / "image", 9000))


def test_an_image_is_what_its_facts_say(tmp_path: Path) -> None:
    assert examine_image(picture(tmp_path / "image")) == ImageFacts(64, 64, "png")
