"""What a video goes on from, as it is named on the command line: a link, a file here, an ID, ``last``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from click.shell_completion import CompletionItem

from rushes.cli.lookup import LAST, found, kind_of
from rushes.cli.waiting import working
from rushes.errors import NotFound

if TYPE_CHECKING:
    from rushes.client import Item
    from rushes.client.synchronous import Client

_VIDEO_FILES = (".mp4", ".mov", ".m4v")


class Source(NamedTuple):
    """An input that the server can fetch."""

    url: str
    size: tuple[int, int] | None
    """Pixels as it is shown (width, height); ``None``: not known here."""


class SourceWord(click.ParamType[str]):
    """The word for one. What is a file here is that file; but ``last`` is the newest video, and ``./last`` the file."""

    name = "source"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word itself; refused where it can be nothing."""
        if not (_is_link(value) or _is_item(value) or Path(value).is_file()):
            self.fail(f"{value!r} is no link, no file here, no id, and not `last`.", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """A file, where it is no link and no id."""
        return [CompletionItem(incomplete, type="file")]


def picture(client: Client, word: str) -> Source:
    """An image to go on from or to look like; of a video, its last frame.

    Raises:
        NotFound: there is no such item; Unreadable: the file is no image and no video.
    """
    if _is_link(word):
        return Source(word, None)
    return of_item(found(client, word)) if _is_item(word) else _of_picture_file(client, Path(word))


def film(client: Client, word: str) -> Source:
    """A video to be continued.

    Raises:
        BadParameter: it is an image; NotFound: there is no such item; Unreadable: the file is no video.
    """
    if _is_link(word):
        return Source(word, None)
    if not _is_item(word):
        return _of_film_file(client, Path(word))
    if kind_of(word) == "image":
        raise click.BadParameter(f"{word} is an image; only a video can be extended.", param_hint="--extend")
    item = found(client, word)
    return Source(item.url, (item.width, item.height))


def of_item(item: Item) -> Source:
    """An image, or a video's last frame.

    Raises:
        NotFound: the server does not tell the video's last frame.
    """
    url = item.json.get("lastFrameImageUrl") if item.suffix == ".mp4" else item.url
    if not url:
        raise NotFound(f"The server does not tell the last frame of {item.id}; download the video and name its file.")
    return Source(url, (item.width, item.height))


def _of_picture_file(client: Client, path: Path) -> Source:
    import asyncio

    from rushes import media

    if path.suffix.lower() in _VIDEO_FILES:
        return _of_last_frame(client, path)
    with working(f"reading {path.name}"):
        facts = asyncio.run(media.image(path))
    return Source(_sent(client, path), (facts.width, facts.height))


def _of_last_frame(client: Client, path: Path) -> Source:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="rushes-") as folder:
        still = Path(folder) / f"{path.stem}_last_frame.png"
        size = _take_last_frame(path, still)
        return Source(_sent(client, still), size)


def _of_film_file(client: Client, path: Path) -> Source:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="rushes-") as folder:
        size = _take_last_frame(path, Path(folder) / "still.png")
    return Source(_sent(client, path), size)


def _take_last_frame(path: Path, to: Path) -> tuple[int, int]:
    import asyncio

    from rushes import media

    with working(f"reading {path.name}"):
        facts = asyncio.run(media.last_frame(path, to))
    return facts.width, facts.height


def _sent(client: Client, path: Path) -> str:
    with working(f"sending {path.name}"):
        return client.upload(path)


def _is_item(word: str) -> bool:
    return word == LAST or (kind_of(word) is not None and not Path(word).is_file())


def _is_link(word: str) -> bool:
    return word.startswith(("https://", "http://"))
