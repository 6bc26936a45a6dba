"""What a file says of itself: the prompt, the time and the model that its maker wrote into it.

PyAV and Pillow are imported inside functions: the main process imports this module and never decodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rushes.errors import Unreadable
from rushes.media.isolate import isolated
from rushes.media.probe import decoded

LONGEST = 20_000
"""Characters of a text that are looked at."""

_VIDEO_TEXTS = ("prompt", "description", "comment", "synopsis", "title")
_IMAGE_TEXTS = ("parameters", "prompt", "description", "comment", "title")
_IMAGE_DESCRIPTION, _EXIF, _USER_COMMENT = 0x010E, 0x8769, 0x9286
_COMMENT_CODES = {b"UNICODE\0": "utf-16-be", b"ASCII\0\0\0": "latin-1"}
# What AUTOMATIC1111 and those after it write behind the prompt.
_SETTINGS = re.compile(r"^(?:Negative prompt:|Steps: \d)", re.MULTILINE)
_MODEL = re.compile(r"\bModel: ([^,\n]+)")


@dataclass(frozen=True, slots=True)
class Tags:
    """``None`` where the file says nothing. ``created`` is as it stands there, ISO 8601 where it was made well."""

    prompt: str | None
    created: str | None
    model: str | None
    brand: str = ""
    """A video's major brand: ``isom``, ``qt``; empty where it names none."""


async def video_tags(path: Path, *, seconds: float = 20) -> Tags:
    """What an untrusted MP4 or MOV says of itself; ``Unreadable`` if it is not one."""
    return await isolated(examine_video_tags, path, seconds=seconds)


async def image_tags(path: Path, *, seconds: float = 20) -> Tags:
    """What an untrusted PNG, JPEG or WebP says of itself; ``Unreadable`` if it is not one."""
    return await isolated(examine_image_tags, path, seconds=seconds)


def examine_video_tags(path: Path) -> Tags:
    """What :func:`video_tags` does, in this process."""
    import av

    options = {"protocol_whitelist": "file", "skip_frame": "all"}  # as in probe.opened
    try:
        with av.open(str(path.absolute()), format="mov", options=options, metadata_errors="replace") as container:
            told = _lower(container.metadata)
    except av.FFmpegError as error:
        raise Unreadable(f"This is not a readable MP4 video: {error.strerror}.") from error
    prompt, model = _found(told.get(name, "") for name in _VIDEO_TEXTS)
    return Tags(prompt, told.get("creation_time"), model, told.get("major_brand", "").strip())


def examine_image_tags(path: Path) -> Tags:
    """What :func:`image_tags` does, in this process."""
    image = decoded(path)  # to its end: a PNG may say something behind its pixels
    told = _lower(image.info)
    prompt, model = _found([*(told.get(name, "") for name in _IMAGE_TEXTS), *_exif_texts(image.getexif())])
    return Tags(prompt, None, model)


def _lower(told: Mapping[Any, object]) -> dict[str, str]:
    return {str(name).lower(): text[:LONGEST] for name, text in told.items() if isinstance(text, str)}


def _exif_texts(exif: Any) -> Iterable[str]:
    comment = exif.get_ifd(_EXIF).get(_USER_COMMENT, b"")
    if isinstance(comment, bytes) and (code := _COMMENT_CODES.get(comment[:8])):
        yield comment[8 : 2 * LONGEST].decode(code, "replace")
    yield str(exif.get(_IMAGE_DESCRIPTION, ""))


def _found(texts: Iterable[str]) -> tuple[str | None, str | None]:
    """The prompt in the first text that holds one, and the model told beside it."""
    for text in texts:
        if prompt := _prompt(text):
            model = _MODEL.search(text)
            return prompt, model[1].strip() if model else None
    return None, None


def _prompt(text: str) -> str | None:
    if text.lstrip().startswith("{"):
        try:
            return _of_graph(json.loads(text))
        except (ValueError, RecursionError):
            pass  # braces are also how prompts tell of choices
    return _SETTINGS.split(text, maxsplit=1)[0].strip() or None


def _of_graph(graph: dict[str, object]) -> str | None:
    """ComfyUI writes what it ran: the words are where a sampler's ``positive`` leads to."""
    if isinstance(inner := graph.get("prompt"), str):
        return _prompt(inner)
    for node in graph.values():
        match _inputs(node).get("positive"):
            case [source, *_]:
                words = _inputs(graph.get(str(source))).get("text")
                if isinstance(words, str) and words.strip():
                    return words.strip()
    return None


def _inputs(node: object) -> dict[str, object]:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return inputs if isinstance(inputs, dict) else {}
