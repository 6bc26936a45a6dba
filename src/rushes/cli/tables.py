"""Rows and sheets for people: as wide as the terminal and no wider. Where nobody looks, whole and apart by tabs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

import click

GAP = 2
SHORTEST_TEXT = 20
"""Columns a prompt needs to be told from others. With less it goes on a line of its own."""

# What would move the cursor, turn the line around or break it: a prompt may hold anything.
_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u2028-\u202e\u2066-\u2069]+")

# A link or an id.
_COPIED = re.compile(r"\S+://\S+|[A-Za-z0-9_-]{1,64}")


class Column(NamedTuple):
    """One column between the first, which is never cut, and the last, which takes the room that is left."""

    heading: str
    optional: bool = False
    """Left out where there is little room."""


def print_rows(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> int:
    """Print a table, and say how many rows it has.

    On a terminal its last column is cut, optional columns go, and in a narrow one each row stands on two lines.
    Elsewhere there are no headings and nothing is cut: a line a row as it comes, its cells apart by tabs.
    """
    if not is_terminal():
        return _print_raw(rows)
    cells = [[one_line(cell) for cell in row] for row in rows]
    if cells:
        _print_fitting(columns, cells, terminal_width())
    return len(cells)


def is_terminal() -> bool:
    """Whether somebody looks at what is printed."""
    return sys.stdout.isatty()


def one_line(text: str) -> str:
    """Text that stays where it is printed: whatever is no character to be seen is a space."""
    return _UNSEEN.sub(" ", text).strip()


def terminal_width() -> int:
    """Columns of the terminal."""
    import shutil

    return shutil.get_terminal_size().columns


def _print_raw(rows: Iterable[Sequence[str]]) -> int:
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007  (it is returned)
        click.echo("\t".join(map(one_line, row)))
    return count


def _print_fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> None:
    for kept in (columns, [column for column in columns if not column.optional]):
        indices = [columns.index(column) for column in kept]
        if _room(columns, rows, indices, width) >= SHORTEST_TEXT:
            _print_lines(columns, rows, indices, width)
            return
    _print_stacked(columns, rows, width)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], kept: Sequence[int]) -> list[int]:
    """Of every kept column but the last."""
    return [max(_width(row[index]) for row in (_headings(columns), *rows)) for index in kept[:-1]]


def _room(columns: Sequence[Column], rows: Sequence[Sequence[str]], kept: Sequence[int], width: int) -> int:
    """What the last column has left."""
    widths = _widths(columns, rows, kept)
    return width - sum(widths) - GAP * len(widths)


def _print_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]], kept: Sequence[int], width: int) -> None:
    widths, room = _widths(columns, rows, kept), _room(columns, rows, kept, width)
    *before, last = kept
    for number, row in enumerate(chain([_headings(columns)], rows)):
        padded = [_padded(row[index], to) for index, to in zip(before, widths, strict=True)]
        line = (" " * GAP).join([*padded, cut(row[last], room)]).rstrip()
        click.echo(click.style(line, dim=True) if number == 0 else line)


def _print_stacked(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> None:
    for first, *rest in rows:
        below = [cell for cell, column in zip(rest, columns[1:], strict=True) if cell and not column.optional]
        click.echo(cut(first, width))
        click.secho(cut((" " * GAP).join(["", *below]), width), dim=True)


def _headings(columns: Sequence[Column]) -> list[str]:
    return [column.heading for column in columns]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def cut(text: str, width: int) -> str:
    """Text in so many columns of a terminal, with a … where it went on."""
    from rich.cells import set_cell_size

    return text if _width(text) <= width else set_cell_size(text, max(width - 1, 0)).rstrip() + "…"


def _width(text: str) -> int:
    # A Chinese character takes two columns, an accent none.
    from rich.cells import cell_len

    return cell_len(text)


def print_sheet(title: str, facts: Iterable[tuple[str, str | None]]) -> None:
    """Print what is known of one thing: a title, and below it each fact that there is behind its name.

    On a terminal what is too long goes on below; a link or an id stays whole, on a line of its own.
    """
    known = [(name, one_line(value)) for name, value in facts if value is not None]
    width = max(len(name) for name, _ in known)
    print_text(title, bold=True)
    for name, value in known:
        _print_fact(f"  {name:{width}}", value)


def _print_fact(name: str, value: str) -> None:
    room = terminal_width() - len(name) - GAP
    if not is_terminal() or _width(value) <= room:
        click.echo(click.style(name, dim=True) + " " * GAP + value)
        return
    click.secho(name.rstrip(), dim=True)
    for line in _folded(value, terminal_width() - 2 * GAP):
        click.echo(" " * 2 * GAP + line)


def print_text(text: str, *, bold: bool = False) -> None:
    """Print a text, on a terminal in as many lines as it takes."""
    text = one_line(text)
    for line in _folded(text, terminal_width()) if is_terminal() else [text]:
        click.secho(line, bold=bold or None)


def _folded(text: str, width: int) -> list[str]:
    lines = [""]
    for piece in (piece for word in text.split(" ") for piece in _pieces(word, width)):
        longer = f"{lines[-1]} {piece}".lstrip()
        if _width(longer) <= width:
            lines[-1] = longer
        else:
            lines += [piece]
    return [line for line in lines if line] or [""]


def _pieces(word: str, width: int) -> Sequence[str]:
    """A word in pieces that fit; what people copy stays whole."""
    from rich.cells import chop_cells

    return [word] if _width(word) <= width or _COPIED.fullmatch(word) else chop_cells(word, max(width, 2))


def age(then: datetime) -> str:
    """How long ago, short: ``12s``, ``5m``, ``3h``, ``6d``; before that a date here: ``9 Apr``, ``Apr 2025``."""
    seconds = max((datetime.now(then.tzinfo) - then).total_seconds(), 0)
    for most, size, sign in ((60, 1, "s"), (3600, 60, "m"), (86_400, 3600, "h"), (7 * 86_400, 86_400, "d")):
        if seconds < most:
            return f"{seconds // size:.0f}{sign}"
    day = then.astimezone()
    return f"{day.day} {day:%b}" if seconds < 300 * 86_400 else f"{day:%b %Y}"


def when(then: datetime) -> str:
    """A time in a table: its age for people, else to the millisecond."""
    return age(then) if is_terminal() else then.isoformat(timespec="milliseconds")


def moment(then: datetime) -> str:
    """A time here, to the second."""
    return f"{then.astimezone():%Y-%m-%d %H:%M:%S}"


def amount(number: float) -> str:
    """A number of credits, to what the ledger counts in: ``12.8``, ``22,000``."""
    return f"{number:,.6f}".rstrip("0").rstrip(".")


def credits(number: float) -> str:
    """The same in words."""
    return f"{amount(number)} credit{'' if number == 1 else 's'}"
