"""A command run to its end, as a person would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

SENTENCE = re.compile(r"rushes: \S.*\.\n")
"""One line for people, and nothing else: no trace."""


def rushes(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUSHES_")}
    return subprocess.run(
        [sys.executable, "-m", "rushes", *arguments],
        env=environment | settings,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def failed(run: subprocess.CompletedProcess[str]) -> str:
    """Exit 1 with one sentence on stderr; the sentence."""
    assert (run.returncode, run.stdout) == (1, ""), run.stderr
    assert SENTENCE.fullmatch(run.stderr), run.stderr
    return run.stderr
