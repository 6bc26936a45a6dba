"""``rushes download``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rushes.cli.connection import with_async_client
from rushes.cli.examples import examples
from rushes.cli.lookup import LAST, ItemId, found_async, kind_of
from rushes.cli.sheets import print_json
from rushes.cli.tables import one_line
from rushes.cli.waiting import Left, OnBytes, byte_bars
from rushes.cli.whole import is_whole
from rushes.errors import BadAnswer, RushesError

if TYPE_CHECKING:
    from rushes.client.asynchronous import AsyncClient

AT_ONCE = 4
STILLS: Mapping[str, str] = {
    "previewImageUrl": "_preview.jpg",
    "thumbnailImageUrl": "_thumbnail.jpg",
    "lastFrameImageUrl": "_last_frame.png",
}
"""How a video's stills end in a folder, by the link that names them."""


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
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
@with_async_client
async def download(client: AsyncClient, item_ids: Sequence[str], to: Path, stills: bool, as_json: bool) -> None:
    """Save videos and images under their ids.

    It prints the names of the files. What is there whole is not fetched again. One that fails does not stop the
    others. Exit 1: not all are there.
    """
    make_folder(to)
    try:
        ids = dict.fromkeys([await _id(client, word) for word in item_ids])
        with byte_bars() as bar:
            outcomes = await _all_saved(_Saving(client, to, stills, bar), ids)
    except asyncio.CancelledError:  # by Ctrl-C
        raise Left("Stopped; the same command again fetches what is not there yet.") from None
    for item_id, outcome in zip(ids, outcomes, strict=True):
        _tell(item_id, outcome, as_json)
    if any(isinstance(outcome, RushesError) for outcome in outcomes):
        raise click.exceptions.Exit(1)


async def _id(client: AsyncClient, word: str) -> str:
    item_id = (await found_async(client, LAST)).id if word == LAST else word
    if kind_of(item_id) is None:
        raise BadAnswer(f"The server gives {item_id!r} as an id, which can be no name of a file.")
    return item_id


Outcome = Sequence[Path] | RushesError


def _tell(item_id: str, outcome: Outcome, as_json: bool) -> None:
    if isinstance(outcome, RushesError):
        click.echo(f"rushes: {one_line(outcome.sentence)}", err=True)
        return
    for path in outcome:
        if as_json:
            print_json({"id": item_id, "path": str(path)})
        else:
            click.echo(path)


async def _all_saved(saving: _Saving, ids: Iterable[str]) -> Sequence[Outcome]:
    """What became of each, in their order."""
    places = asyncio.Semaphore(AT_ONCE)

    async def save(item_id: str) -> Outcome:
        async with places:
            return await saving.save(item_id)

    return await asyncio.gather(*map(save, ids))


@dataclass(frozen=True)
class _Saving:
    client: AsyncClient
    to: Path
    stills: bool
    bar: Callable[[str], OnBytes | None]

    async def save(self, item_id: str) -> Outcome:
        """The files of one item, once they are all there."""
        files = {link: self.to / f"{item_id}{ending}" for link, ending in self._endings(item_id)}
        missing = {link: path for link, path in files.items() if not is_whole(path)}
        try:
            told = (await found_async(self.client, item_id)).json if missing else {}
            for link, path in missing.items():
                with writing(path):
                    await self.client.download(told[link], path, on_bytes=self.bar(path.name))
        except RushesError as error:
            return error
        return list(files.values())

    def _endings(self, item_id: str) -> Sequence[tuple[str, str]]:
        if kind_of(item_id) == "image":
            return [("url", ".png")]
        return [("url", ".mp4"), *(STILLS.items() if self.stills else ())]


def make_folder(folder: Path) -> None:
    """Make a folder, if it is new, with those above it.

    Raises:
        RushesError: it cannot be made.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes a sentence of what the system says to a file or a folder.

    Raises:
        RushesError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise RushesError(f"{path} cannot be written: {error.strerror}.") from None
