"""A person with a key at a running server, who works with the commands alone."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli import terminal
from tests.cli.running import failed, rushes
from tests.conftest import Server

Json = dict[str, Any]


@dataclass
class Desk:
    """``folder`` is where its commands run."""

    url: str
    key: str
    folder: Path

    @classmethod
    def at(cls, server: Server, folder: Path) -> Desk:
        """With a new account."""
        return cls(server.url, server.key(), folder)

    @property
    def settings(self) -> dict[str, str]:
        return {"RUSHES_URL": self.url, "RUSHES_KEY": self.key}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return rushes(*arguments, cwd=self.folder, **self.settings)

    def said(self, *arguments: str) -> str:
        """What a command that goes well prints on stdout."""
        run = self.run(*arguments)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def told(self, *arguments: str) -> list[Json]:
        """The JSON that a command that goes well prints, a line each."""
        return [json.loads(line) for line in self.said(*arguments, "--json").splitlines()]

    def made(self, prompt: str, *options: str) -> Json:
        """The item that ``rushes generate`` makes."""
        [item] = self.told("generate", prompt, *options)
        return item

    def refused(self, *arguments: str) -> str:
        """The sentence of a command that fails."""
        return failed(self.run(*arguments))

    def misused(self, *arguments: str) -> str:
        """What a command says that is used wrongly, in one line."""
        run = self.run(*arguments)
        assert (run.returncode, run.stdout) == (2, ""), run.stderr
        assert "Traceback" not in run.stderr
        return " ".join(run.stderr.split())

    def shown(self, *arguments: str, columns: int = 80) -> list[str]:
        """The lines that a command leaves on a terminal."""
        return terminal.shown(*arguments, cwd=self.folder, columns=columns, **self.settings)

    def terminal(self, *arguments: str, columns: int = 80) -> terminal.Terminal:
        """The command on a terminal, under way."""
        return terminal.Terminal(*arguments, cwd=self.folder, columns=columns, **self.settings)
