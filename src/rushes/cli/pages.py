"""``python -m rushes.cli.pages FOLDER``: writes ``docs/commands``, out of what the commands say with ``--help``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from rushes.cli import COMMANDS, cli, load, sections
from rushes.cli.examples import examples_of

_LEAD = "Each command says with `--help` what stands here: `make docs` writes these pages from it."


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def write(folder: Path) -> None:
    """Write an index and a page for each command into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(_joined(_index()))
    root = click.Context(cli, info_name="rushes")
    for name in COMMANDS:
        (folder / f"{name}.md").write_text(_joined(_page(click.Context(load(name), root, name))))


def _joined(paragraphs: Iterator[str]) -> str:
    return "\n\n".join(paragraphs) + "\n"


def _index() -> Iterator[str]:
    yield "# The commands"
    yield _LEAD
    for section, entries in sections():
        yield f"## {section}"
        yield "\n".join(f"- [`rushes {name}`]({name}.md): {entry.line}" for name, entry in entries)


def _page(context: click.Context, heading: str = "#") -> Iterator[str]:
    """What one command says; below a group, in headings of their own, what its commands say."""
    summary, _, text = inspect.cleandoc(context.command.help or "").partition("\n")
    yield f"{heading} {context.command_path}"
    yield summary
    yield _block("sh", _usage(context))
    yield from map(_paragraph, filter(None, text.strip().split("\n\n")))
    yield from _parameters(context)
    yield "Examples:"
    yield _block("sh", "\n".join(examples_of(context.command)))
    for name, below in _below(context.command):
        yield from _page(click.Context(below, context, name), f"{heading}#")


def _below(command: click.Command) -> list[tuple[str, click.Command]]:
    return sorted(command.commands.items()) if isinstance(command, click.Group) else []


def _usage(context: click.Context) -> str:
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def _paragraph(text: str) -> str:
    """As it is, or, where ``click`` was told to keep its lines, as a block."""
    kept = text.removeprefix("\b\n")
    return text if kept == text else _block("text", kept)


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _parameters(context: click.Context) -> Iterator[str]:
    """The arguments and options that something is said of. ``--help`` itself is not among them."""
    records = [parameter.get_help_record(context) for parameter in context.command.params]
    lines = [f"- `{record[0]}`: {_in_one_line(record[1])}" for record in records if record and record[1]]
    if lines:
        yield "\n".join(lines)


def _in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


if __name__ == "__main__":
    write()
