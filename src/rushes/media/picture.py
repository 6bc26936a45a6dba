"""An image's one file: picture.png, as the provider made it where that is a PNG.

Pillow is imported inside functions: the main process imports this module and never decodes.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.errors import Unreadable
from rushes.media.isolate import isolated
from rushes.media.probe import ImageFacts, decoded, image_facts

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

COMPRESSION = 1
"""zlib's level 6 takes six times as long for a file 6 % smaller."""


async def picture(source: Path, to: Path, *, seconds: float = 60) -> ImageFacts:
    """Leave an untrusted PNG, JPEG or WebP at ``to``, another path, as a PNG; the facts of that, or ``Unreadable``.

    A PNG keeps its very bytes. Of anything else the first picture is written without loss, the way up it is shown.
    """
    return await isolated(examine_picture, source, to, seconds=seconds)


def in_colour(picture: Image) -> Image:
    """Eight bits each of red, green and blue; transparency lies on white."""
    from PIL import Image

    if picture.mode.startswith("I;16"):
        # Pillow cuts sixteen bits of grey off at 255 instead of scaling them: nearly all of it would be white.
        return picture.convert("I").point([level >> 8 for level in range(1 << 16)], "L").convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def examine_picture(source: Path, to: Path) -> ImageFacts:
    """What :func:`picture` does, in this process."""
    found = decoded(source)
    if found.format != "PNG":
        return _rewritten(found, to)
    _check_whole(source)
    # Not a link: a download that is tried again writes over what is at source.
    shutil.copyfile(source, to)
    return image_facts(found)


def _check_whole(png: Path) -> None:
    """To its last chunk, every sum right: decoding is content with all rows."""
    from PIL import Image

    try:
        with Image.open(png, formats=("PNG",)) as opened:
            opened.verify()
    except Exception as error:  # as in decoded()
        raise Unreadable(f"The PNG is cut off before its end, or damaged: {error}.") from error


def _rewritten(found: ImageFile, to: Path) -> ImageFacts:
    upright = _upright(found)
    upright.save(to, "PNG", compress_level=COMPRESSION)
    return ImageFacts(*upright.size, "png")


def _upright(found: ImageFile) -> Image:
    """The image the way up it is shown, in colours that a PNG can hold."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(found)
    if upright.mode != "CMYK":
        return upright
    converted = upright.convert("RGB")
    converted.info.pop("icc_profile", None)  # it speaks of inks
    return converted
