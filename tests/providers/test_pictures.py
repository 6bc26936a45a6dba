"""Pictures fitted to a frame: in a process of their own, whatever their pixels take."""

from __future__ import annotations

import io
import resource
from pathlib import Path

import pytest
from PIL import Image

from rushes.errors import InputNotAnImage
from rushes.providers import pictures

pytestmark = pytest.mark.anyio

MIB_IN_KIB = 1024


async def test_a_picture_covers_the_frame(tmp_path: Path) -> None:
    Image.new("RGB", (300, 100), "red").save(tmp_path / "wide.png")
    with Image.open(io.BytesIO(await pictures.cover(tmp_path / "wide.png", 64, 112))) as made:
        assert (made.format, made.size, made.getpixel((0, 0))) == ("PNG", (64, 112), (255, 0, 0))


async def test_many_pixels_take_no_memory_of_ours(tmp_path: Path) -> None:
    Image.new("RGB", (8192, 8192)).save(tmp_path / "large.png")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await pictures.cover(tmp_path / "large.png", 720, 1280)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * MIB_IN_KIB


async def test_what_is_no_picture_after_all_is_told(tmp_path: Path) -> None:
    for name, content in {
        "none.png": b"none",
        "drawn.svg": b"<svg/>",
        "page.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputNotAnImage):
            await pictures.cover(tmp_path / name, 64, 112)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (Image.new("I;16", (64, 64), 0x7500), (0x75, 0x75, 0x75)),
        (Image.new("L", (64, 64), 0x75), (0x75, 0x75, 0x75)),
        (Image.new("RGBA", (64, 64), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("LA", (64, 64), (0, 0)), (255, 255, 255)),
    ],
    ids=["grey of sixteen bits", "grey of eight", "clear", "clear grey"],
)
async def test_grey_stays_grey_and_transparency_lies_on_white(
    tmp_path: Path, given: Image.Image, shown: tuple[int, int, int]
) -> None:
    given.save(tmp_path / "in.png")
    with Image.open(io.BytesIO(await pictures.cover(tmp_path / "in.png", 32, 32))) as made:
        assert (made.mode, made.getpixel((16, 16))) == ("RGB", shown)
