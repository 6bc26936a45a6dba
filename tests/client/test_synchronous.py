"""The client that blocks is what ``make client`` writes from the other one, to the byte."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "blocking_client.py"))
SOURCE, TARGET = TOOL["SOURCE"], TOOL["TARGET"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A copy of the source, and what is written from it."""
    shutil.copytree(ROOT / SOURCE, tmp_path / SOURCE, ignore=shutil.ignore_patterns("__pycache__"))
    TOOL["write"](tmp_path)
    return tmp_path


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.py")}


def test_it_is_up_to_date(written: Path) -> None:
    assert texts(written / TARGET) == texts(ROOT / TARGET), "run make client"


def test_nothing_in_it_awaits(written: Path) -> None:
    text = "".join(texts(written / TARGET).values())
    # The one that is left is the class of its name, in a sentence of the package's.
    assert [word for word in ("await ", "async ", "anyio", "asyncio", "Async") if word in text] == []


def test_a_change_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / SOURCE, tmp_path / SOURCE, ignore=shutil.ignore_patterns("__pycache__"))
    jobs = tmp_path / SOURCE / "jobs.py"
    jobs.write_text(jobs.read_text().replace("await sleep(pause)", "await sleep(pause + 1)"))
    TOOL["write"](tmp_path)
    found = texts(tmp_path / TARGET)
    assert [name for name, text in texts(ROOT / TARGET).items() if text != found[name]] == ["jobs.py"]
