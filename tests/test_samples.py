"""The samples of the README, the cookbook and the client's page, run as they stand and in their order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

from tests.conftest import Server, serving
from tests.deploy.places import ROOT, faults, program

COOKBOOK = "docs/cookbook.md"
# Fenced, or (of a shell, in the README) indented.
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```|((?:^    [^\n]*\n)+)", re.MULTILINE | re.DOTALL)
ADDRESSES = re.compile(r"https://api\.pictory\.ai|http://127\.0\.0\.1:8700")
# What the tests have already, and what they have not: a library at the vendor's, a bucket.
LEFT_OUT = re.compile(r"^.*(\.venv|rushes serve|keys create|<your key there>|rushes move).*\n", re.MULTILINE)
PROGRAM = "/opt/rushes/bin/rushes"
SECONDS = 120


class Sample(NamedTuple):
    """One block of a page."""

    language: str
    text: str


def samples(page: str) -> Iterator[Sample]:
    """The blocks of a page; of the README those that say how it is used."""
    text = (ROOT / page).read_text()
    if page == "README.md":
        text = text.partition("\n## Use it\n")[2].partition("\n## ")[0]
    for language, fenced, indented in BLOCK.findall(text):
        yield Sample("sh", dedent(indented)) if indented else Sample(language, fenced)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of its own: a reader's account is the default one."""
    with serving(tmp_path_factory.mktemp("samples") / "data") as running:
        yield running


@pytest.mark.timeout(SECONDS * 6)
@pytest.mark.parametrize("page", ["README.md", COOKBOOK, "docs/client.md"])
def test_every_sample_of_a_page_runs(server: Server, tmp_path: Path, page: str) -> None:
    key = server.key("default")
    # What this server has is the vendor's library here.
    settings = {"RUSHES_URL": server.url, "RUSHES_KEY": key, "PICTORY_KEY": key, "RUSHES_DATA": str(server.data)}
    settings |= {
        "CURL_HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    (tmp_path / ".curlrc").write_text("fail\nnoproxy = *\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUSHES_")}
    for sample in samples(page):
        if sample.language not in ("sh", "python"):
            continue
        text = LEFT_OUT.sub("", ADDRESSES.sub(server.url, sample.text))
        command = ["bash", "-euc", text] if sample.language == "sh" else [sys.executable, "-c", text]
        ran = subprocess.run(
            command, cwd=tmp_path, env={**kept, **settings}, capture_output=True, text=True, timeout=SECONDS
        )
        assert ran.returncode == 0, f"{text}\n{ran.stdout}{ran.stderr}"
        settings |= {
            name: value.replace("$PICTORY_KEY", key) for name, value in re.findall(r"export (\w+)=(\S+)", text)
        }
    for made in MADE[page]:
        assert (tmp_path / made).stat().st_size > 10_000
    if page == COOKBOOK:
        assert len(list((tmp_path / "album").glob("*/*.mp4"))) >= 9


MADE = {
    "README.md": ("lighthouse.mp4", "fox.mp4", "album/index.html"),
    COOKBOOK: ("story.mp4", "boat-3.mp4", "album/index.html"),
    "docs/client.md": ("fox.mp4",),
}


def test_systemd_finds_no_fault_with_the_units_of_the_cookbook(tmp_path: Path) -> None:
    units = [sample.text for sample in samples(COOKBOOK) if sample.language == "ini"]
    names = ["rushes-pull.service", "rushes-pull.timer"]
    for name, text in zip(names, units, strict=True):
        (tmp_path / name).write_text(text.replace(PROGRAM, str(Path(sys.executable).with_name("rushes"))))
    judge = program("systemd-analyze", "apt-get install systemd")
    assert faults(judge, "verify", "--man=no", *(str(tmp_path / name) for name in names)) == ""


@pytest.mark.parametrize(("page", "least"), [("README.md", 5), (COOKBOOK, 9), ("docs/client.md", 1)])
def test_the_pages_hold_samples(page: str, least: int) -> None:
    found = [sample for sample in samples(page) if sample.language in ("sh", "python")]
    assert len([sample for sample in found if LEFT_OUT.sub("", sample.text).strip()]) >= least
