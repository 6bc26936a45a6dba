"""What the command line says of itself, how fast it can say it, and what it says to a wrong word."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rushes.cli import COMMANDS, SECTIONS, cli, load
from rushes.cli.examples import examples_of
from tests.cli.running import rushes

AT_START = {"rushes", "rushes.cli", "rushes.cli.examples", "rushes.errors", "rushes.__main__"}


def below(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """A command and, if it is a group, all of its own, each in its place."""
    yield context
    for name, one in command.commands.items() if isinstance(command, click.Group) else ():
        yield from below(one, click.Context(one, context, name))


ROOT = click.Context(cli, info_name="rushes")
EVERY = [ROOT, *(one for name in COMMANDS for one in below(load(name), click.Context(load(name), ROOT, name)))]


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command_once_with_its_line_in_its_section(tmp_path: Path, flag: str) -> None:
    run = rushes(flag, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    told = re.sub(r"\n {8,}", " ", run.stdout)  # a long line goes on below itself
    found = re.findall(r"^([A-Z][^:\n]+):$|^  (\w+)  +(\S.*)$", told.partition("Options:")[2], re.MULTILINE)
    section, rows = "", []
    for heading, name, line in found:
        section = heading or section
        rows += [(section, name, line)] if name else []
    assert rows == [
        (entry.section, name, entry.line) for at in SECTIONS for name, entry in COMMANDS.items() if entry.section == at
    ]
    assert set(COMMANDS) == {name for _, name, _ in rows}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_a_command_is_the_first_of_its_docstring(name: str) -> None:
    assert (load(name).help or "").splitlines()[0] == COMMANDS[name].line


def imported(*arguments: str, cwd: Path, **settings: str) -> set[str]:
    """The modules that one run imports. ``-X importtime`` would leave out what ``import_module`` brings."""
    command = [sys.executable, "-v", "-m", "rushes", *arguments]
    run = subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, check=True)
    return set(re.findall(r"^import '([\w.]+)' #", run.stderr, re.MULTILINE))


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["--help"], {}),
        (["--version"], {}),
        ([], {"_RUSHES_COMPLETE": "bash_complete", "COMP_WORDS": "rushes ", "COMP_CWORD": "1"}),
    ],
    ids=["help", "version", "completion"],
)
def test_what_names_commands_imports_none(tmp_path: Path, arguments: list[str], settings: dict[str, str]) -> None:
    found = imported(*arguments, cwd=tmp_path, **settings)
    assert {name for name in found if name.partition(".")[0] == "rushes"} <= AT_START
    assert "click" in found
    assert "asyncio" not in found, "half of the time it takes"


def test_a_commands_help_imports_its_own_module_and_no_other(tmp_path: Path) -> None:
    found = {name for name in imported("keys", "--help", cwd=tmp_path) if name.startswith("rushes.cli.")}
    assert found == {"rushes.cli.examples", "rushes.cli.studio", "rushes.cli.keys"}


@pytest.mark.parametrize("context", EVERY, ids=lambda context: context.command_path)
def test_help_ends_with_one_to_three_examples_that_can_be_run(context: click.Context) -> None:
    block = context.command.get_help(context).rpartition("\n\n")[2].splitlines()
    assert block[0] == "  Examples:"
    lines = [line.removeprefix("    ") for line in block[1:]]
    assert lines == examples_of(context.command)
    assert 1 <= len(lines) <= 3
    for line in lines:
        assert parsed(line).command_path.startswith(context.command_path)


def parsed(line: str) -> click.Context:
    """What a line typed in a shell would run. Raises what ``click`` raises where it is used wrongly."""
    [_, name, *words] = shlex.split(line.partition(" > ")[0].partition(" | ")[0])
    context, command = ROOT, load(name)
    while isinstance(command, click.Group):
        context = click.Context(command, context, name)
        name, *words = words
        command = command.commands[name]
    return command.make_context(name, words, parent=context)


def test_a_line_that_is_used_wrongly_would_be_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        parsed("rushes serve --prot 80")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["serve", "--nonsense"],
        ["serve", "--port", "x"],
        ["serve", "--port", "65536"],
        ["serve", "--processes", "0"],
        ["worker", "--concurrency", "0"],
        ["keys", "revoke"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_and_says_how_to_use_it(tmp_path: Path, arguments: list[str]) -> None:
    run = rushes(*arguments, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert "Usage: rushes" in run.stderr
    assert not list(tmp_path.iterdir()), "nothing was made"


def test_ctrl_c_while_it_starts_leaves_no_trace(tmp_path: Path) -> None:
    """A module that is found before the real one makes the moment."""
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    run = rushes("list", cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (1, "", "Aborted!\n")


def test_a_slip_of_the_keyboard_is_answered_with_what_is_near(tmp_path: Path) -> None:
    run = rushes("keyz", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert "'keys'" in run.stderr
