"""``rushes download``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rushes.cli.connection import with_client
from rushes.cli.examples import examples
from rushes.cli.lookup import LAST, ItemId, found, kind_of
from rushes.cli.waiting import OnBytes, byte_bars
from rushes.cli.whole import is_whole
from rushes.errors import BadAnswer, RushesError

if TYPE_CHECKING:
    from rushes.client.synchronous import Client

AT_ONCE = 4
STILLS: Mapping[str, str] = {
    "previewImageUrl": "_preview.jpg",
    "thumbnailImageUrl": "_thumbnail.jpg",
    "lastFrameImageUrl": "_last_frame.png",
}
"""How a video's stills end in a folder, by the link that names them."""


class Stopped(Exception):
    """Somebody pressed Ctrl-C: a download on its way ends, and what there is of it goes."""


@click.command(
    epilog=examples(
        "rushes download last --to takes --stills",
        "rushes download 20261105184210123a1b2c3d4e5f60718 ddc287ca-00c7-4ccd-a347-03fc7d7f65d1",
    )
)
@click.argument("item_ids", metavar="ID...", nargs=-1, required=True, type=ItemId())
@click.option(
    "--to",
    default=".",
    show_default=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Made if it is new.",
)
@click.option("--stills", is_flag=True, help="Of videos the preview, the thumbnail and the last frame as well.")
@with_client
def download(client: Client, item_ids: Sequence[str], to: Path, stills: bool) -> None:
    """Save videos and images under their ids.

    It prints the names of the files. What is there whole is not fetched again. One that fails does not stop the
    others. Exit 1: not all are there.
    """
    with _writing(to):
        to.mkdir(parents=True, exist_ok=True)
    ids = dict.fromkeys(_id(client, word) for word in item_ids)
    with byte_bars() as bar:
        outcomes = _all_saved(_Saving(client, to, stills, bar), list(ids))
    for outcome in outcomes:
        if isinstance(outcome, RushesError):
            click.echo(f"rushes: {outcome.sentence}", err=True)
        else:
            click.echo("\n".join(map(str, outcome)))
    if any(isinstance(outcome, RushesError) for outcome in outcomes):
        raise click.exceptions.Exit(1)


def _id(client: Client, word: str) -> str:
    item_id = found(client, LAST).id if word == LAST else word
    if kind_of(item_id) is None:
        raise BadAnswer(f"The server gives {item_id!r} as an id, which can be no name of a file.")
    return item_id


Outcome = Sequence[Path] | RushesError


def _all_saved(saving: _Saving, ids: Sequence[str]) -> Sequence[Outcome]:
    """What became of each, in their order."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(pool.map(saving.save, ids))
        except KeyboardInterrupt:
            saving.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@dataclass(frozen=True)
class _Saving:
    client: Client
    to: Path
    stills: bool
    bar: Callable[[str], OnBytes | None]
    stop: threading.Event = field(default_factory=threading.Event)

    def save(self, item_id: str) -> Outcome:
        """The files of one item, once they are all there."""
        files = {link: self.to / f"{item_id}{ending}" for link, ending in self._endings(item_id)}
        missing = {link: path for link, path in files.items() if not is_whole(path)}
        try:
            told = found(self.client, item_id).json if missing else {}
            for link, path in missing.items():
                fetch(self.client, told[link], path, self._watched(self.bar(path.name)))
        except RushesError as error:
            return error
        return list(files.values())

    def _endings(self, item_id: str) -> Sequence[tuple[str, str]]:
        if kind_of(item_id) == "image":
            return [("url", ".png")]
        return [("url", ".mp4"), *(STILLS.items() if self.stills else ())]

    def _watched(self, bar: OnBytes | None) -> OnBytes:
        def on_bytes(done: int, total: int | None) -> None:
            if self.stop.is_set():
                raise Stopped
            if bar:
                bar(done, total)

        return on_bytes


def fetch(client: Client, url: str, to: Path, on_bytes: OnBytes | None) -> None:
    """Save a file.

    Raises:
        RushesError: it does not come, or cannot be written.
    """
    with _writing(to):
        client.download(url, to, on_bytes=on_bytes)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RushesError(f"{path} cannot be written: {error.strerror}.") from None
