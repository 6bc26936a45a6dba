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
