"""The command line. Each command is thin; what it does lives where the noun lives.

Nothing here imports a command: `--help` and the completion of names have to answer while a key is being pressed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from importlib import import_module
from io import TextIOWrapper
from typing import NamedTuple

import click

from rushes import __version__
from rushes.cli.examples import examples
from rushes.errors import RushesError

MAKE, LIBRARY, SERVE, RUN = "Make and look", "The library", "Serve", "Run it"
SECTIONS = (MAKE, LIBRARY, SERVE, RUN)
"""What ``--help`` puts commands under, in its order."""

_NO_ROOM = {EDQUOT, EFBIG, EIO, ENOSPC}


class Entry(NamedTuple):
    """Where a command is, below this package, and what is said of it: the first line of its docstring."""

    module: str
    attribute: str
    line: str
    section: str


COMMANDS = {
    "generate": Entry("generate", "generate", "Have a video or an image made, and show it when it is done.", MAKE),
    "list": Entry("items", "list_items", "Show the library, newest first.", MAKE),
    "show": Entry("items", "show", "Show one video or image.", MAKE),
    "open": Entry("items", "open_item", "Open a video or an image in the program that is there for it.", MAKE),
    "download": Entry("downloads", "download", "Save videos and images under their ids.", MAKE),
    "delete": Entry("items", "delete", "Delete videos and images with their files, for good.", MAKE),
    "jobs": Entry("jobs", "jobs", "See how jobs stand, wait for one, end one.", MAKE),
    "models": Entry("facts", "models", "Show what the server can make, and what it costs in AI credits.", MAKE),
    "quota": Entry("facts", "quota", "Show what the account has spent this month, and what it may.", MAKE),
    "pull": Entry(
        "pulling", "pull", "Mirror the library of another server, the vendor's or a Rushes, into this one.", LIBRARY
    ),
    "import": Entry("importing", "import_files", "Bring videos and images of one's own into the library.", LIBRARY),
    "export": Entry("exporting", "export", "Write the library into a folder that needs no server.", LIBRARY),
    "move": Entry("moving", "move", "Take the library to another database, another storage, or both.", LIBRARY),
    "verify": Entry("verifying", "verify", "Prove that every file and row of the library is as it must be.", LIBRARY),
    "rebuild": Entry("rebuilding", "rebuild", "Make a lost database anew from the files alone.", LIBRARY),
    "backup": Entry("backup", "backup", "Copy the database while it is in use.", LIBRARY),
    "serve": Entry("serving", "serve", "Serve the API, with one worker beside it.", SERVE),
    "worker": Entry("serving", "worker", "Work on jobs, without serving.", SERVE),
    "migrate": Entry("serving", "migrate", "Bring the database up to date.", SERVE),
    "keys": Entry("keys", "keys", "Make, list and revoke API keys.", RUN),
    "accounts": Entry("accounts", "accounts", "See what accounts spend and cost, and limit it.", RUN),
    "webhooks": Entry(
        "webhooks",
        "webhooks_group",
        "See what was sent to webhooks, send it again, and keep the secrets that sign it.",
        RUN,
    ),
    "doctor": Entry("doctor", "doctor", "Try what is configured, without spending anything.", RUN),
    "completion": Entry("completion", "completion", "Print the script that completes `rushes` in a shell.", RUN),
}
"""Every command, in the order of ``--help``. A new one is a line here and its module."""


def run() -> None:
    """Run a command: exit 0 when it is done, 1 when it failed (one sentence on stderr), 2 when it was used wrongly."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a prompt may hold what the terminal's encoding has not
            stream.reconfigure(errors="backslashreplace")
    try:
        cli(prog_name="rushes")
    except RushesError as error:
        from rushes.cli.tables import one_line

        click.echo(f"rushes: {one_line(error.sentence)}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename is not None:  # what is printed goes to no file of a name
            raise
        # What is left to print is thrown away, or Python would try once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        click.echo(f"rushes: What the command prints cannot be written: {error.strerror}.", err=True)
        sys.exit(1)


class Commands(click.Group):
    """A group that holds a bare stand-in for each command and loads the command itself when it is to be run."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """What was asked for, loaded."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, load(name) if name and stand_in else None, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every command and its line, in sections whose columns are in line."""
        width = max(map(len, COMMANDS))
        for section, entries in sections():
            with formatter.section(section):
                formatter.write_dl([(f"{name:{width}}", entry.line) for name, entry in entries])


@click.group(
    cls=Commands,
    commands=[click.Command(name, short_help=entry.line) for name, entry in COMMANDS.items()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples("rushes serve", "rushes keys create"),
)
@click.version_option(__version__)
def cli() -> None:
    """A self-hosted AI video studio that speaks the Pictory AI Studio API.

    Start with `rushes serve`, make a key with `rushes keys create`, and send it a prompt.
    """


def load(name: str) -> click.Command:
    """The command of that name in ``COMMANDS``, out of its module."""
    entry = COMMANDS[name]
    command: click.Command = getattr(import_module(f"{__name__}.{entry.module}"), entry.attribute)
    return command


def sections() -> Iterator[tuple[str, list[tuple[str, Entry]]]]:
    """The sections that have commands, each with its commands by name."""
    for section in SECTIONS:
        entries = [(name, entry) for name, entry in COMMANDS.items() if entry.section == section]
        if entries:
            yield section, entries
