"""A command run to its end, as a person would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

SENTENCE = re.compile(r"rushes: \S.*\.\n")
"""One line for people, and nothing else: no trace."""
LEFT = "Stopped; the same command goes on from here.\n"
"""What Ctrl-C is answered with where another run goes on."""


def rushes(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "rushes", *arguments],
        env=_environment() | settings,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RUSHES_")}


def interrupted(*arguments: str) -> tuple[int, str]:
    """Ctrl-C after the first line of a command; its exit status, and what it says on stderr."""
    command = [sys.executable, "-m", "rushes", *arguments]
    with subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    return process.returncode, said.decode()


def failed(run: subprocess.CompletedProcess[str]) -> str:
    """Exit 1 with one sentence on stderr; the sentence."""
    assert (run.returncode, run.stdout) == (1, ""), run.stderr
    assert SENTENCE.fullmatch(run.stderr), run.stderr
    return run.stderr
