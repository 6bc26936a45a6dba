"""``rushes import``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from rushes.cli.examples import examples
from rushes.cli.studio import data_option, in_studio
from rushes.cli.waiting import resumable

_FAILURES = ("damaged", "refused")


def _prompt(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from rushes.transfer.sidecar import LONGEST_PROMPT

    return _text(value, LONGEST_PROMPT)


def _model(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from rushes.transfer.sidecar import LONGEST_MODEL

    return _text(value, LONGEST_MODEL)


def _text(value: str | None, longest: int) -> str | None:
    from rushes.transfer.sidecar import text

    if value is not None and text(value, longest) != value:
        raise click.BadParameter(f"it must be a text of 1 to {longest:,} characters.")
    return value


def _date(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    from rushes.transfer.sidecar import DAY_MS, moment

    created = moment(value)
    if value is not None and created is None:
        raise click.BadParameter(f"{value!r} is no time from 1970 on, such as 2026-11-25 or 2026-11-25T13:00:00+01:00.")
    if created is not None and created > time.time() * 1000 + DAY_MS:
        raise click.BadParameter(f"{value!r} is more than a day ahead; say when they were made.")
    return created


@click.command(
    "import",
    epilog=examples(
        "rushes import films",
        "rushes import fox.mp4 --prompt 'a red fox in snow' --model veo3.1 --date 2026-05-01T12:00:00Z",
        "rushes import /mnt/export --account film-club --json",
    ),
)
@click.argument("paths", metavar="FILE|DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@data_option
@click.option("--account", default="default", show_default=True, help="Made if it is new.")
@click.option("--prompt", callback=_prompt, help="What they show.")
@click.option("--date", "created", metavar="ISO", callback=_date, help="When they were made; UTC unless it says.")
@click.option("--model", callback=_model, help="What made them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
def import_files(
    paths: tuple[Path, ...],
    data: Path | None,
    account: str,
    prompt: str | None,
    created: int | None,
    model: str | None,
    as_json: bool,
) -> None:
    """Bring videos and images of one's own into the library.

    MP4, PNG, JPEG and WebP files are copied, whatever is below a DIR with them, and stay where they are. What an option
    does not say is taken from the JSON beside a file, as `rushes export` writes it, then from the file itself, then
    from its name and age.

    A file whose bytes are in the library already is left out: after a broken import, give the same command again. Exit
    1: at least one file is damaged or refused, and stderr says why; the others are in.
    """
    from rushes.cli.tally import tally
    from rushes.transfer.bring import bring, found
    from rushes.transfer.sidecar import Told

    for path in paths:
        if not path.exists():
            raise click.BadParameter(f"There is no {click.format_filename(path)}.", param_hint="FILE|DIR")
    files = list(found(paths))
    if not files:
        raise click.ClickException("There is no video and no image in there.")
    with resumable(), tally("importing", len(files), _FAILURES, as_json=as_json) as counted:

        def done(brought: Any) -> None:
            counted.add(brought.outcome, brought.item_id, brought.path, brought.sentence)

        given = Told(prompt=prompt, created=created, model=model)
        in_studio(data, lambda studio: bring(studio, account, files, given, done), may_be_new=True)
