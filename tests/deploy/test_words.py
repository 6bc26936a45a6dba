"""Every file of `deploy/` and the page about it: settings that there are, command lines that Rushes takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rushes import config
from tests.deploy import test_compose, test_image, test_kubernetes, test_systemd
from tests.deploy.places import DEPLOY, ROOT

PAGE = ROOT / "docs" / "deploying.md"
FILES = sorted(path for path in [*DEPLOY.rglob("*"), PAGE] if path.is_file() and "secrets" not in path.parts)
SETTINGS = {f"RUSHES_{name.upper()}" for name in config.Config.model_fields} | {"RUSHES_CONFIG"}
SETTINGS |= {f"RUSHES_{name.upper()}_FILE" for name in config._SECRETS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_setting_that_is_named_is_one(path: Path) -> None:
    assert set(re.findall(r"RUSHES_[A-Z0-9_]+", path.read_text())) <= SETTINGS


def commands() -> Iterator[tuple[str, ...]]:
    """Each command line that something here starts Rushes with."""
    yield tuple(json.loads(test_image.steps("CMD")[0]))
    for unit in test_systemd.UNITS:
        yield tuple(dict(test_systemd.settings(unit))["ExecStart"].split()[1:])
    for _, _, service in test_compose.services():
        yield tuple(service.get("command", ["serve"]))
    for pod in test_kubernetes.pods().values():
        yield tuple(test_kubernetes.container(pod)["args"])


@pytest.mark.parametrize("command", sorted(set(commands())), ids=" ".join)
def test_rushes_takes_every_command_line(command: tuple[str, ...]) -> None:
    """Help comes before anything is done, but after a wrong option."""
    told = subprocess.run(
        [sys.executable, "-m", "rushes", *command, "--help"], capture_output=True, text=True, check=False, timeout=30
    )
    assert told.returncode == 0, told.stderr


def test_the_page_leads_to_every_folder_and_to_nothing_that_is_not_there() -> None:
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)#:]+)", PAGE.read_text())}
    assert all((PAGE.parent / link).exists() for link in links)
    ours = {"image", "compose", "systemd", "kubernetes", "proxy"}
    assert all(any(link.startswith(f"../deploy/{name}") for link in links) for name in ours)
