"""``rushes generate``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rushes.catalogue import STYLES
from rushes.cli.connection import with_client
from rushes.cli.examples import examples
from rushes.cli.offers import complete_model, complete_ratio
from rushes.cli.sources import SourceWord

if TYPE_CHECKING:
    from rushes.client.synchronous import Client

_MOST_REFERENCES = 3
_LONGEST_KEY = 255
_SECONDS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?s?")


@dataclass(frozen=True, slots=True)
class Asked:
    """A command line of ``rushes generate``, checked: what is wrong with it costs nothing."""

    prompts: tuple[str, ...]
    images: bool
    model: str | None
    duration: str | None
    aspect_ratio: str | None
    style: str | None
    first_frame: str | None
    extend: str | None
    references: tuple[str, ...]
    webhook: str | None
    no_wait: bool
    timeout: float | None
    output: str | None
    chain: int | None
    join: Path | None
    as_json: bool
    idempotency_key: str | None

    def __post_init__(self) -> None:
        try:
            for complaint in self._complaints():
                raise click.UsageError(complaint)
        except OSError as error:  # no name of a file
            raise click.UsageError(f"{error.filename} cannot be written: {error.strerror}.") from None

    @property
    def kind(self) -> str:
        """What is to be made."""
        return "image" if self.images else "video"

    @property
    def clips(self) -> tuple[str, ...]:
        """The prompt of each clip in turn."""
        return self.prompts if len(self.prompts) > 1 else self.prompts * (self.chain or 1)

    @property
    def to(self) -> Path | None:
        """What --output names."""
        return None if self.output is None else Path(self.output)

    @property
    def is_folder(self) -> bool:
        """Whether that is a folder: what ends in a slash is one, once it is made."""
        return self.to is not None and (self.to.is_dir() or str(self.output).endswith(("/", os.sep)))

    def _complaints(self) -> Iterator[str]:
        yield from self._of_prompts()
        yield from self._of_inputs()
        yield from self._of_kind()
        yield from self._of_files()

    def _of_prompts(self) -> Iterator[str]:
        count = len(self.prompts)
        if count > 1 and self.chain is None:
            yield f"These are {count} prompts: put the prompt in quotes, or say --chain {count} for a clip of each."
        if count > 1 and self.chain not in (None, count):
            yield f"--chain {self.chain} takes one prompt for all clips or one for each, and these are {count}."

        if self.chain and len(f"{self.idempotency_key or ''}-{self.chain}") > _LONGEST_KEY:
            yield f"--idempotency-key is too long for a chain: each clip has its own, of {_LONGEST_KEY} at most."

    def _of_inputs(self) -> Iterator[str]:
        if sum(map(bool, (self.first_frame, self.extend, self.references))) > 1:
            yield "Only one of --first-frame, --extend and --reference can be used."
        most = 1 if self.images else _MOST_REFERENCES
        if len(self.references) > most:
            yield f"At most {most} --reference can be used."

    def _of_kind(self) -> Iterator[str]:
        for name in ("duration", "first_frame", "extend", "chain") if self.images else ("style",):
            if getattr(self, name):
                yield f"--{name.replace('_', '-')} is not for {'images' if self.images else 'videos'}."

    def _of_files(self) -> Iterator[str]:
        for name in ("output", "join", "timeout", "chain") if self.no_wait else ():
            if getattr(self, name) is not None:
                yield f"--{name} has to wait; leave --no-wait away."
        if self.join and not self.chain:
            yield "--join joins the clips of a --chain."
        if self.to and self.chain and not self.is_folder:
            yield f"The clips of a --chain go into a folder, and {self.to} is none; end it in / to have it made."
        if self.to and self.to.is_dir() and not os.access(self.to, os.W_OK):
            yield f"Nothing can be written into the folder {self.to}."
        for path in (None if self.is_folder else self.to, self.join):
            if path:
                yield from self._of_file(path)

    def _of_file(self, path: Path) -> Iterator[str]:
        suffix = ".png" if self.images else ".mp4"
        if not path.parent.is_dir():
            yield f"There is no folder {path.parent}."
        elif not os.access(path.parent, os.W_OK):
            yield f"Nothing can be written into the folder {path.parent}."
        if path.exists() and not path.is_file() and not path.is_dir():
            yield f"{path} is there and is no file; name another."
        if path.suffix.lower() not in ("", suffix) or path.is_dir():
            yield f"{path} will be a file of the kind {suffix}: let its name end so."


@click.command(
    epilog=examples(
        'rushes generate "a red fox in fresh snow, low sun" --aspect-ratio 9:16 -o fox.mp4',
        'rushes generate "the fox leaps" --first-frame last',
        'rushes generate "waves roll in" "a storm comes" "the sun again" --chain 3 --join storm.mp4',
    )
)
@click.argument("prompts", metavar="PROMPT...", nargs=-1, required=True)
@click.option("--image", "images", is_flag=True, help="An image instead of a video.")
@click.option("--model", shell_complete=complete_model, help="`rushes models` shows them.")
@click.option("--duration", metavar="SECONDS", callback=lambda *told: _duration(told[2]), help="Such as 8 or 8s.")
@click.option(
    "--aspect-ratio",
    metavar="W:H",
    shell_complete=complete_ratio,
    help="Such as 9:16.  [default: what is nearest to the first frame or the extended video, else the model's]",
)
@click.option("--style", type=click.Choice(STYLES), help="Of an image.")
@click.option(
    "--first-frame",
    type=SourceWord(),
    metavar="SOURCE",
    help="The image to open with: a URL, a file, an ID, or `last`. Of a video, its last frame.",
)
@click.option("--extend", type=SourceWord(), metavar="SOURCE", help="The video to go on from, named likewise.")
@click.option(
    "--reference",
    "references",
    type=SourceWord(),
    metavar="SOURCE",
    multiple=True,
    help="An image that it should look like; up to three, the order matters.",
)
@click.option("--webhook", metavar="URL", help="Is told when the job ends.")
@click.option("--no-wait", is_flag=True, help="Print the job's id and leave.")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="Wait no longer. The job goes on.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Download it: as this file, in place of one that is there, or into this folder. What ends in / is made.",
)
@click.option("--chain", metavar="N", type=click.IntRange(1, 100), help="Make N clips, one going on from the other.")
@click.option(
    "--join", type=click.Path(path_type=Path), help="Join the clips of a chain into this MP4, in place of one there."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, as the API gives it; of a chain, a line a clip.")
@click.option("--idempotency-key", metavar="KEY", help="The same key again is the same job, not a second one.")
@with_client
def generate(client: Client, /, **options: Any) -> None:
    """Have a video or an image made, and show it when it is done.

    What it will cost is said before, what it has cost after, in AI credits. Ctrl-C leaves the job running and says how
    to come back to it.

    A chain makes N clips: the first as asked, each other with the last frame of the one before as its first. It takes
    one prompt for all clips, or one for each. Clips are joined as they are, without loss, where all have the same form;
    else they are encoded anew in the size of the first, and the frame that two clips share is shown once. With
    --idempotency-key, a chain that broke off is taken up again where it was.
    """
    from rushes.cli.takes import take

    take(client, Asked(**options))


def _duration(told: str | None) -> str | None:
    if told is not None and not _SECONDS.fullmatch(told):
        raise click.BadParameter(f"{told!r} is no length: say seconds, such as 8 or 8s.")
    return told and f"{told.removesuffix('s')}s"
