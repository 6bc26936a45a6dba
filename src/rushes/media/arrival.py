"""An item that comes from elsewhere with its files: are they whole, and are they what they are said to be?

PyAV and Pillow are imported inside functions: the main process imports this module and never decodes.
"""

from __future__ import annotations

from pathlib import Path

from rushes.media.isolate import isolated
from rushes.media.probe import Facts, Video, check_size, opened

# What a still is, by how its name ends, and how its file does.
_FORMATS = {".jpg": ("JPEG", b"\xff\xd9"), ".png": ("PNG", b"IEND\xaeB`\x82")}
# A length that is told rounded to the second may be as far off.
_ROUNDED = 0.3


async def arrival(
    video: Path, stills: tuple[Path, ...], told_seconds: float, *, seconds: float = 60
) -> tuple[Facts, tuple[Path, ...]]:
    """The facts of an untrusted MP4, and those of its stills that are whole pictures.

    Raises:
        Unreadable: the MP4 is cut off, or no video.
    """
    return await isolated(examine_arrival, video, stills, told_seconds, seconds=seconds)


def examine_arrival(video: Path, stills: tuple[Path, ...], told_seconds: float) -> tuple[Facts, tuple[Path, ...]]:
    """What :func:`arrival` does, in this process."""
    with opened(video) as file:
        facts = _facts(file, told_seconds)
    return facts, tuple(still for still in stills if _is_whole(still))


def _facts(file: Video, told_seconds: float) -> Facts:
    """A video that is as long as it was said to be has no reason to be decoded to its end."""
    first = file.first()
    if abs(file.header_seconds - told_seconds) <= _ROUNDED:
        return file.facts(first, None)
    _, last = file.tail(0)
    return file.facts(first, last)


def _is_whole(still: Path) -> bool:
    """Its size can be read, and it does not end early; no pixel is unpacked, which would cost more than all else."""
    from PIL import Image

    try:
        kind, end = _FORMATS[still.suffix]
        with Image.open(still, formats=(kind,)) as found:
            check_size(*found.size)
        with still.open("rb") as file:
            file.seek(-len(end), 2)
            return file.read() == end
    except Exception:  # noqa: BLE001  (Pillow's readers raise anything; whatever it is, it is no whole picture)
        return False
