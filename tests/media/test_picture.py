"""An image from a provider becomes one PNG, or is refused with a sentence."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rushes.errors import StorageFull, Unreadable
from rushes.media import ImageFacts, picture
from rushes.media.picture import examine_picture
from rushes.media.probe import EXIF_ORIENTATION

Maker = Callable[[Path], Path]

RED, GREEN, BLUE = (200, 40, 30), (30, 160, 60), (40, 60, 200)


def painting(width: int = 30, height: int = 20) -> Image.Image:
    """Red, with a green upper left and a blue lower right quarter."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (0, 0, width // 2, height // 2))
    image.paste(BLUE, (width // 2, height // 2, width, height))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> Maker:
    def save(path: Path) -> Path:
        image.save(path, format=kind, **options)
        return path

    return save


def shown(path: Path, x: float, y: float) -> tuple[int, int, int]:
    """The colour at a place given in shares of the sides."""
    with Image.open(path) as image:
        red, green, blue = image.convert("RGB").getpixel((int(x * image.width), int(y * image.height)))  # type: ignore[misc]
    return red, green, blue


# --- a PNG stays what it is ---


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30))


PNGS: dict[str, Maker] = {
    "plain": saved(painting(), "PNG"),
    "one pixel": saved(Image.new("RGB", (1, 1), RED), "PNG"),
    "palette": saved(painting().quantize(8), "PNG"),
    "palette, one colour clear": saved(painting().quantize(8), "PNG", transparency=0),
    "alpha": saved(Image.new("RGBA", (30, 20), (200, 40, 30, 90)), "PNG"),
    "grey": saved(painting().convert("L"), "PNG"),
    "black and white": saved(painting().convert("1"), "PNG"),
    "16 bits": saved(sixteen_bits(), "PNG"),
    "animated": saved(painting(), "PNG", save_all=True, append_images=[Image.new("RGB", (30, 20), BLUE)]),
    "with words": saved(painting(), "PNG", exif=b"Exif\x00\x00" + Image.Exif().tobytes()),
}


@pytest.mark.parametrize("name", PNGS)
def test_a_png_keeps_its_bytes(name: str, tmp_path: Path) -> None:
    source, to = PNGS[name](tmp_path / "result"), tmp_path / "picture.png"
    side = (1, 1) if name == "one pixel" else (30, 20)
    assert examine_picture(source, to) == ImageFacts(*side, "png")
    assert to.read_bytes() == source.read_bytes()


def test_what_is_kept_does_not_change_when_the_result_is_downloaded_again(tmp_path: Path) -> None:
    source, to = PNGS["plain"](tmp_path / "result"), tmp_path / "picture.png"
    examine_picture(source, to)
    source.write_bytes(b"")
    assert shown(to, 0.1, 0.1) == GREEN


def test_a_turned_png_is_as_large_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    source = saved(painting(), "PNG", exif=exif)(tmp_path / "result")
    assert examine_picture(source, tmp_path / "picture.png") == ImageFacts(20, 30, "png")
    assert (tmp_path / "picture.png").read_bytes() == source.read_bytes()


# --- anything else becomes one ---

OTHERS: dict[str, Maker] = {
    "jpeg": saved(painting(), "JPEG", quality=95),
    "jpeg, cmyk": saved(painting().convert("CMYK"), "JPEG", quality=95),
    "jpeg, progressive": saved(painting(), "JPEG", quality=95, progressive=True),
    "mpo": saved(painting(), "MPO", save_all=True, append_images=[Image.new("RGB", (30, 20), BLUE)], quality=95),
    "webp": saved(painting(), "WEBP", quality=95),
    "webp, lossless": saved(painting(), "WEBP", lossless=True),
    "webp, animated": saved(
        painting(), "WEBP", save_all=True, append_images=[Image.new("RGB", (30, 20), BLUE)], lossless=True
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_image_becomes_a_png(name: str, tmp_path: Path) -> None:
    to = tmp_path / "picture.png"
    assert examine_picture(OTHERS[name](tmp_path / "result"), to) == ImageFacts(30, 20, "png")
    with Image.open(to) as made:
        assert (made.format, made.mode[:3], getattr(made, "n_frames", 1)) == ("PNG", "RGB", 1)
    assert shown(to, 0.1, 0.1) == pytest.approx(GREEN, abs=14)
    assert shown(to, 0.9, 0.9) == pytest.approx(BLUE, abs=14)
    assert shown(to, 0.9, 0.1) == pytest.approx(RED, abs=14)


def test_nothing_is_lost_on_the_way(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    noise = Image.fromarray(chance.integers(0, 256, (40, 50, 4), np.uint8))
    source = saved(noise, "WEBP", lossless=True, exact=True)(tmp_path / "result")
    examine_picture(source, tmp_path / "picture.png")
    with Image.open(source) as before, Image.open(tmp_path / "picture.png") as after:
        assert after.mode == "RGBA"
        assert np.array_equal(np.asarray(before), np.asarray(after))


def test_a_grey_jpeg_stays_grey(tmp_path: Path) -> None:
    source = saved(painting().convert("L"), "JPEG")(tmp_path / "result")
    assert examine_picture(source, tmp_path / "picture.png") == ImageFacts(30, 20, "png")
    with Image.open(tmp_path / "picture.png") as made:
        assert made.mode == "L"


@pytest.mark.parametrize(
    ("orientation", "size", "green"),
    [
        (1, (30, 20), (0.1, 0.1)),
        (2, (30, 20), (0.9, 0.1)),
        (3, (30, 20), (0.9, 0.9)),
        (4, (30, 20), (0.1, 0.9)),
        (5, (20, 30), (0.1, 0.1)),
        (6, (20, 30), (0.9, 0.1)),
        (7, (20, 30), (0.9, 0.9)),
        (8, (20, 30), (0.1, 0.9)),
    ],
)
def test_a_photograph_stands_upright(
    orientation: int, size: tuple[int, int], green: tuple[float, float], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    source, to = saved(painting(), "JPEG", quality=95, exif=exif)(tmp_path / "result"), tmp_path / "picture.png"
    assert examine_picture(source, to) == ImageFacts(*size, "png")
    assert shown(to, *green) == pytest.approx(GREEN, abs=14)
    with Image.open(to) as made:
        assert made.size == size
        assert made.getexif().get(EXIF_ORIENTATION, 1) == 1  # or it would be turned once more


# --- what is no whole image ---


def written(data: bytes) -> Maker:
    def write(path: Path) -> Path:
        path.write_bytes(data)
        return path

    return write


def noise(kind: str, share: float) -> Maker:
    """An image of which only the first ``share`` arrived."""

    def save(path: Path) -> Path:
        Image.effect_noise((200, 100), 50).convert("RGB").save(path, format=kind)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return save


def without_end(path: Path) -> Path:
    """All pixels are there; the last chunk is not."""
    painting().save(path, format="PNG")
    path.write_bytes(path.read_bytes()[:-12])
    return path


def bomb(side: int) -> Maker:
    """A PNG of 1 kB that says it is ``side`` pixels on a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return written(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b""))


NO_IMAGES: dict[str, tuple[Maker, str]] = {
    "nothing": (written(b""), "not a PNG, JPEG or WebP"),
    "a page": (written(b"<!doctype html><h1>502 Bad Gateway</h1>"), "not a PNG, JPEG or WebP"),
    "drawing": (written(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "not a PNG, JPEG or WebP"),
    "gif": (saved(painting(), "GIF"), "not a PNG, JPEG or WebP"),
    "signature only": (written(b"\x89PNG\r\n\x1a\n"), "image"),
    "two thirds of a png": (noise("PNG", 2 / 3), "truncated"),
    "a png without its end": (without_end, "cut off before its end"),
    "two thirds of a jpeg": (noise("JPEG", 2 / 3), "truncated"),
    "two thirds of a webp": (noise("WEBP", 2 / 3), "image"),
    "too many pixels": (bomb(9000), "9000 x 9000 pixels"),
    "a bomb": (bomb(60_000), "60000 x 60000 pixels"),
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_whole_image_is_refused_and_nothing_left(name: str, tmp_path: Path) -> None:
    maker, words = NO_IMAGES[name]
    with pytest.raises(Unreadable, match=words) as caught:
        examine_picture(maker(tmp_path / "result"), tmp_path / "picture.png")
    assert str(tmp_path) not in caught.value.sentence
    assert caught.value.sentence.endswith(".")
    assert not (tmp_path / "picture.png").exists()


# --- in a process of its own ---


def test_the_same_in_a_process_of_its_own(tmp_path: Path) -> None:
    source, to = OTHERS["webp"](tmp_path / "result"), tmp_path / "picture.png"
    assert asyncio.run(picture(source, to)) == ImageFacts(30, 20, "png")
    assert shown(to, 0.1, 0.1) == pytest.approx(GREEN, abs=14)
    with pytest.raises(Unreadable, match="not a PNG, JPEG or WebP"):
        asyncio.run(picture(written(b"a poem")(tmp_path / "poem"), to))


@pytest.mark.parametrize("name", ["plain", "jpeg"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk at hand")
def test_a_full_disk_is_not_the_files_fault(name: str, tmp_path: Path) -> None:
    source = (PNGS | OTHERS)[name](tmp_path / "result")
    with pytest.raises(StorageFull):
        asyncio.run(picture(source, Path("/dev/full")))
