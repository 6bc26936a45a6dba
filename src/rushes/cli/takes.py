"""What ``rushes generate`` does: price, order, wait, show, fetch, and on to the next clip."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rushes.catalogue import nearest_ratio
from rushes.cli.downloads import make_folder, writing
from rushes.cli.lookup import library, made
from rushes.cli.offers import chosen, offers, price
from rushes.cli.sheets import print_item, print_json
from rushes.cli.sources import Source, film, of_item, picture
from rushes.cli.tables import credits
from rushes.cli.waiting import Left, byte_bars, wait, working
from rushes.errors import RushesError, StorageFull

if TYPE_CHECKING:
    from rushes.cli.generate import Asked
    from rushes.client import Item, Job, Model
    from rushes.client.synchronous import Client


class Inputs(NamedTuple):
    """What an order goes on from: options of the client's, and the pixels of what it should look like in shape."""

    options: dict[str, Any]
    size: tuple[int, int] | None = None


def take(client: Client, asked: Asked) -> None:
    """Make what was asked for.

    Raises:
        JobFailed: a job ended otherwise; Left: somebody pressed Ctrl-C.
    """
    if asked.to and asked.is_folder:
        make_folder(asked.to)
    inputs = _inputs(client, asked)
    model = chosen(offers(client), asked.kind, asked.model)
    _say_price(asked, model)
    if asked.no_wait:
        _print_job(_ordered(client, asked, model, inputs, 1), asked.as_json)
    else:
        _take_all(client, asked, model, inputs)


def _inputs(client: Client, asked: Asked) -> Inputs:
    if asked.first_frame:
        return _opening(picture(client, asked.first_frame))
    if asked.extend:
        source = film(client, asked.extend)
        return Inputs({"extend": source.url}, source.size)
    urls = [picture(client, word).url for word in asked.references]
    if not urls:
        return Inputs({})
    return Inputs({"reference": urls[0]} if asked.images else {"references": urls})


def _opening(source: Source) -> Inputs:
    return Inputs({"first_frame": source.url}, source.size)


def _say_price(asked: Asked, model: Model | None) -> None:
    """Nothing where the server does not tell of the model: it will refuse it, or knows better."""
    if model is None:
        return
    count = len(asked.clips)
    length = f", {asked.duration or model.durations[0]}" if model.durations else ""
    each = f" for {count} clips" if count > 1 else ""
    click.echo(f"{model.name}{length}: about {credits(price(model, asked.duration) * count)}{each}", err=True)


def _ordered(client: Client, asked: Asked, model: Model | None, inputs: Inputs, number: int) -> Job:
    """The job of one clip."""
    options = {
        "model": asked.model,
        "aspect_ratio": asked.aspect_ratio or _ratio(model, inputs),
        "webhook": asked.webhook,
        **({"style": asked.style} if asked.images else {"duration": asked.duration}),
        **inputs.options,
    }
    given: Any = {name: value for name, value in options.items() if value is not None}
    prompt, once = asked.clips[number - 1], _key(asked, number)
    try:
        with working("ordering"):
            job: Job = library(client, asked.kind).generate(prompt, wait=False, idempotency_key=once, **given)
            return job
    except KeyboardInterrupt:
        raise Left("Whether the server has the order is not known: `rushes jobs list` shows it if so.") from None


def _ratio(model: Model | None, inputs: Inputs) -> str | None:
    return nearest_ratio(*inputs.size, model.aspect_ratios) if model and model.aspect_ratios and inputs.size else None


def _key(asked: Asked, number: int) -> str | None:
    """A clip's own idempotency key: each is another order."""
    if asked.idempotency_key and number > 1:
        return f"{asked.idempotency_key}-{number}"
    return asked.idempotency_key


def _print_job(job: Job, as_json: bool) -> None:
    if as_json:
        print_json({"jobId": job.id})
    else:
        click.echo(job.id)
        click.echo(f"`rushes jobs show {job.id} --wait` waits for it.", err=True)


def _take_all(client: Client, asked: Asked, model: Model | None, inputs: Inputs) -> None:
    done: list[Item] = []
    with TemporaryDirectory(prefix="rushes-") as folder, _stopping(asked, done):
        to = asked.to or (Path(folder) if asked.join else None)
        files = []
        for number in range(1, len(asked.clips) + 1):
            inputs = _opening(of_item(done[-1])) if done else inputs
            done.append(_taken(client, asked, model, inputs, number))
            if to:
                files.append(_fetched(client, done[-1], to, told=asked.to is not None))
        if asked.join:
            _join(files, asked.join)


@contextmanager
def _stopping(asked: Asked, done: Sequence[Item]) -> Iterator[None]:
    """Where it breaks off, say how far it came: what is done is paid for."""
    try:
        yield
    except (RushesError, Left):
        _say_where(asked, done)
        raise
    except KeyboardInterrupt:
        _say_where(asked, done)
        raise Left("Stopped; nothing is under way.") from None


def _say_where(asked: Asked, done: Sequence[Item]) -> None:
    count = len(asked.clips)
    if 0 < len(done) < count:
        told = f"{len(done)} of {count} clips are done, {done[-1].id} is the last: go on from the newest video with"
        click.echo(f"{told} --first-frame last.", err=True)
    elif done:
        click.echo(f"It is in the library: `rushes download {' '.join(item.id for item in done)}`.", err=True)


def _taken(client: Client, asked: Asked, model: Model | None, inputs: Inputs, number: int) -> Item:
    """One clip, when it is there and shown."""
    job = wait(client, _ordered(client, asked, model, inputs, number).id, asked.timeout)
    item = made(client, job, asked.kind)
    print_item(item, asked.as_json)
    clip = f"clip {number} of {len(asked.clips)}: " if len(asked.clips) > 1 else ""
    if job.credits is not None:
        click.echo(f"{clip}{credits(job.credits)} used", err=True)
    return item


def _fetched(client: Client, item: Item, to: Path, *, told: bool) -> Path:
    from rushes.client.calls import target

    file = target(to, item)
    with byte_bars() as bar, writing(file):
        client.download(item.url, file, on_bytes=bar(file.name))
    if told:
        click.echo(f"saved {file}", err=True)
    return file


def _join(files: Sequence[Path], to: Path) -> None:
    from rushes.media.join import join

    try:
        with working(f"joining {len(files)} clips"):
            joined = asyncio.run(join(files, to))
    except StorageFull:
        raise StorageFull(f"There is no room for {to}; make some, or name another place.") from None
    how = "as they are" if joined.is_copy else "encoded anew, because they differ in form"
    click.echo(f"joined {len(files)} clips into {to} ({joined.seconds:g}s, {how})", err=True)
