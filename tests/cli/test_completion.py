"""``rushes completion``: what the shells ask of it and get."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import rushes
from tests.cli.terminal import Terminal

SIGNS = {
    "bash": "complete -o nosort -F _rushes_completion rushes",
    "zsh": "#compdef rushes",
    "fish": "complete --no-files --command rushes",
}


def completed(words: str, cwd: Path) -> list[str]:
    """What bash is told when Tab is pressed at the end of ``words``."""
    at = str(len(words.split(" ")) - 1)
    run = rushes(cwd=cwd, _RUSHES_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=at)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.split()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("rushes se", ["plain,serve"]),
        ("rushes wo", ["plain,worker"]),
        ("rushes keys r", ["plain,revoke"]),
        ("rushes serve --po", ["plain,--port"]),
        ("rushes webhooks list --j", ["plain,--json"]),
        ("rushes serve --data ", ["file,"]),
        ("rushes completion f", ["plain,fish"]),
        ("rushes generate x --first-frame fo", ["file,fo"]),
        ("rushes nonsense x", []),
    ],
)
def test_what_was_begun_is_ended(tmp_path: Path, words: str, told: list[str]) -> None:
    assert completed(words, tmp_path) == told


@pytest.mark.parametrize("shell", SIGNS)
def test_each_shell_gets_its_script(tmp_path: Path, shell: str) -> None:
    run = rushes("completion", shell, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert SIGNS[shell] in run.stdout


def test_another_shell_is_used_wrongly(tmp_path: Path) -> None:
    run = rushes("completion", "tcsh", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where ``rushes`` is found by its name; the script for bash lies in ``tmp_path``."""
    program = tmp_path / "rushes"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rushes "$@"\n')
    program.chmod(0o755)
    (tmp_path / "script").write_text(rushes("completion", "bash", cwd=tmp_path).stdout)
    return f"{tmp_path}:/usr/bin:/bin"


def test_bash_completes_with_its_script(tmp_path: Path, path: str) -> None:
    """As bash does it: it sources the script, fills in the words and calls the function."""
    asked = "source ./script; COMP_WORDS=(rushes keys ''); COMP_CWORD=2; _rushes_completion rushes"
    command = ["bash", "-euc", f'{asked}; complete -p rushes; echo "${{COMPREPLY[@]}}"']
    run = subprocess.run(command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False)
    assert run.stderr == ""
    assert run.stdout.splitlines() == [SIGNS["bash"], "create list revoke"]


@pytest.mark.parametrize(
    ("typed", "ended"),
    [
        ("list --aspect-ratio 9:", "list --aspect-ratio 9:16 "),
        ("list --aspect-ratio 16:", "list --aspect-ratio 16:9 "),
        ("list --url http://127.0.0.1:8700 --aspect-ratio 9:1", "--aspect-ratio 9:16 "),
        ("list --url http://127.0.0.1:8700 --mod", "8700 --model "),
        ("generate 'a fox: its den' --aspect-ratio 9", "--aspect-ratio 9:16 "),
        ("webhooks li", "webhooks list "),
    ],
)
def test_tab_in_bash_ends_words_that_hold_a_colon(tmp_path: Path, path: str, typed: str, ended: str) -> None:
    with Terminal("--norc", "--noprofile", "-i", program=("bash",), cwd=tmp_path, PATH=path, PS1="> ") as bash:
        bash.wait_for("> ")
        bash.press("source ./script; echo rea''dy\r")
        bash.wait_for("ready")
        bash.press(f"rushes {typed}\t")
        bash.wait_for(ended, seconds=20)
