"""The examples that every command's help ends with."""

from __future__ import annotations

import click


def examples(*lines: str) -> str:
    """The epilog that shows these lines, each as it is: ``click`` would flow them into one."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def examples_of(command: click.Command) -> list[str]:
    """The lines again."""
    return [line.strip() for line in (command.epilog or "").splitlines()[2:]]
