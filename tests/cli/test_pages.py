"""``docs/commands`` says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "commands"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The pages as they should be."""
    subprocess.run([sys.executable, "-m", "rushes.cli.pages", str(tmp_path / "pages")], check=True)
    return tmp_path / "pages"


def test_no_page_is_stale_missing_or_left_over(written: Path) -> None:
    assert texts(PAGES) == texts(written), "docs/commands is stale: run `make docs`"


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_page_holds_what_its_command_says(written: Path) -> None:
    page = (written / "keys.md").read_text()
    assert page.startswith("# rushes keys\n\nMake, list and revoke API keys.\n\n```sh\nrushes keys [OPTIONS] COMMAND")
    [_, create, listing, revoke] = page.split("\n## ")
    assert "- `--account TEXT`: Made if it is new. [default: default]\n" in create
    assert listing.endswith("Examples:\n\n```sh\nrushes keys list\nrushes keys list --json\n```\n")
    assert "\nrushes keys revoke [OPTIONS] ID\n" in revoke


def test_the_index_leads_to_every_page(written: Path) -> None:
    index = (written / "README.md").read_text()
    for page in texts(written).keys() - {"README.md"}:
        assert index.count(f"({page})") == 1
