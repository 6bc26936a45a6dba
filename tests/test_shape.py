"""The shape of the code (design.md, "Who may import what"), and the pages of docs that must say what the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rushes import errors
from rushes.config import Config
from rushes.model import MOVES

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
LONGEST_FILE = 500
SHAPELESS = {"utils", "util", "helpers", "helper", "common", "core", "services", "managers", "repositories", "misc"}

WORDS = {"model", "errors", "paging", "ids", "catalogue", "search"}
SEEN = {"logs", "metrics", "tracing"}
"""By which an operator sees what goes on."""
ABOVE = {"api", "work", "studio", "serve", "cli", "client", "transfer"}

# What a part may not import. The longest name that fits decides.
FORBIDDEN: dict[str, set[str]] = {
    "store": {"blobs", "media", "providers"} | ABOVE,
    "blobs": {"store", "media", "providers"} | ABOVE,
    "media": {"store", "blobs", "providers"} | ABOVE,
    "providers": {"store", "blobs", "media"} | ABOVE,
    **dict.fromkeys(("providers.sandbox", "providers.diffusers", "providers.pictures"), {"store", "blobs"} | ABOVE),
    "api": {"providers", "media", "work", "serve", "cli", "client", "transfer"},
    "work": {"api", "serve", "cli", "client", "transfer"},
    "studio": {"api", "work", "serve", "cli", "client", "transfer"},
    "deliveries": {"blobs", "media", "providers"} | ABOVE,
    "serve": {"transfer"},
    "wire": {"store", "blobs", "media", "providers", "config"} | ABOVE,
    "config": {"store", "blobs", "media", "providers"} | ABOVE,
    "fetch": {"store", "blobs", "media", "providers"} | ABOVE,
}

# What a part may import of Rushes; nothing else.
ALLOWED: dict[str, set[str]] = {
    **dict.fromkeys(WORDS, WORDS),
    **dict.fromkeys(SEEN, WORDS | {"logs"}),
    "store": WORDS | {"store", "wire", "metrics"},
    "blobs": WORDS | {"blobs", "metrics"},
    "media": WORDS | {"media"},
    "providers": WORDS | {"providers"},
    "providers.vendor": WORDS | {"providers", "fetch", "logs", "tracing"},
    "providers.routes": WORDS | {"providers", "config"},
    **dict.fromkeys(("providers.sandbox", "providers.diffusers", "providers.pictures"), WORDS | {"providers", "media"}),
    "client": WORDS | {"wire", "client"},
    "transfer": WORDS | {"transfer", "studio", "store", "blobs", "media", "wire", "config", "fetch", "client"},
}

# Who may look into the environment: our settings have one door; the others ask what a library was told there, which
# knows no other way (PROMETHEUS_MULTIPROC_DIR, OTEL_…).
READERS = {"config", "serve", "metrics", "tracing"}

# Libraries with one door.
DOORS = {
    "apsw": ("store.sqlite",),
    "sqlite3": (),
    "psycopg": ("store.postgres",),
    "psycopg_pool": ("store.postgres",),
    "obstore": ("blobs.objects",),
    "boto3": (),
    "av": ("media", "providers.sandbox"),
}


class Module(NamedTuple):
    """One file: its name below ``rushes``, its text."""

    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())


def modules(source: Path) -> Iterator[Module]:
    for path in sorted((source / "rushes").rglob("*.py")):
        parts = path.relative_to(source / "rushes").with_suffix("").parts
        yield Module(".".join(parts).removesuffix("__init__").rstrip("."), path)


def imports(module: Module) -> Iterator[str]:
    """Every module it names, in full; for ``from a import b`` both ``a`` and ``a.b``."""
    package = ["rushes", *module.name.split(".")] if module.name else ["rushes"]
    if module.path.name != "__init__.py":
        package.pop()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from ([base] if node.module else [])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def ruled(name: str, table: dict[str, set[str]]) -> set[str] | None:
    fitting = [part for part in table if within(name, part)]
    return table[max(fitting, key=len)] if fitting else None


def ours(module: Module, source: Path) -> set[str]:
    """The parts of Rushes it imports: ``store``, ``media``, ``wire`` …"""
    parts = {path.stem for path in (source / "rushes").iterdir()}
    found = {name.split(".")[1] for name in imports(module) if name.startswith("rushes.")}
    return found & parts


def broken_rules(source: Path) -> list[str]:
    return [complaint for module in modules(source) for complaint in complaints(module, source)]


def complaints(module: Module, source: Path) -> Iterator[str]:
    used = ours(module, source)
    for part in sorted(used & (ruled(module.name, FORBIDDEN) or set())):
        yield f"{module.name} must not import {part}"
    allowed = ruled(module.name, ALLOWED)
    for part in sorted(used - allowed if allowed is not None else ()):
        yield f"{module.name} may not import {part}"
    for library in sorted({name.split(".")[0] for name in imports(module)} & set(DOORS)):
        if not any(within(module.name, door) for door in DOORS[library]):
            yield f"{module.name} must not import {library}"
    if module.name not in READERS and reads_environment(module):
        yield f"{module.name} reads the environment"
    if len(module.path.read_text().splitlines()) > LONGEST_FILE:
        yield f"{module.name} has more than {LONGEST_FILE} lines"
    if SHAPELESS & set(module.name.split(".")):
        yield f"{module.name} is not named for what it is or does"


def reads_environment(module: Module) -> bool:
    names = {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute) and is_os(node.value)}
    return bool({"environ", "environb", "getenv", "putenv"} & (names | from_os(module)))


def is_os(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "os"


def from_os(module: Module) -> set[str]:
    return {name.removeprefix("os.") for name in imports(module) if name.startswith("os.")}


def test_every_part_imports_only_what_it_may() -> None:
    assert len(list(modules(SOURCE))) > 30
    assert broken_rules(SOURCE) == []


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("model", "from rushes import wire", "model may not import wire"),
        ("ids", "import rushes.config", "ids may not import config"),
        ("store/videos", "from rushes.blobs import Blobs", "store.videos must not import blobs"),
        ("store/videos", "from rushes.config import Config", "store.videos may not import config"),
        ("blobs/local", "def late():\n    from ..store import open", "blobs.local must not import store"),
        ("media/stills", "from rushes.providers import Provider", "media.stills must not import providers"),
        ("providers/fal", "from rushes import media", "providers.fal must not import media"),
        ("providers/fal", "from rushes.config import Config", "providers.fal may not import config"),
        ("providers/sandbox/x", "from rushes import store", "providers.sandbox.x must not import store"),
        ("providers/diffusers/x", "from rushes import blobs", "providers.diffusers.x must not import blobs"),
        ("api/videos", "from rushes.work.loop import run", "api.videos must not import work"),
        ("api/videos", "import rushes.media.probe", "api.videos must not import media"),
        ("work/loop", "from rushes.api import auth", "work.loop must not import api"),
        ("client", "from rushes.studio import Studio", "client may not import studio"),
        ("studio", "from rushes.cli.studio import in_studio", "studio must not import cli"),
        ("transfer/pull", "from rushes.work.inputs import own_file", "transfer.pull may not import work"),
        ("transfer/pull", "from rushes import cli", "transfer.pull may not import cli"),
        ("api/videos", "from rushes.transfer import bring", "api.videos must not import transfer"),
        ("serve", "from rushes import transfer", "serve must not import transfer"),
        ("store/videos", "import apsw", "store.videos must not import apsw"),
        ("api/videos", "from psycopg import sql", "api.videos must not import psycopg"),
        ("store/sqlite", "import sqlite3", "store.sqlite must not import sqlite3"),
        ("work/generate", "import av.video", "work.generate must not import av"),
        ("blobs/local", "import obstore", "blobs.local must not import obstore"),
        ("work/loop", "import os\nos.environ['A']", "work.loop reads the environment"),
        ("work/loop", "from os import getenv", "work.loop reads the environment"),
        ("work/loop", "\n" * 501, "work.loop has more than 500 lines"),
        ("utils", "", "utils is not named for what it is or does"),
        ("api/helpers/x", "", "api.helpers.x is not named for what it is or does"),
    ],
)
def test_a_broken_rule_is_noticed(tmp_path: Path, path: str, text: str, complaint: str) -> None:
    for part in {*FORBIDDEN, *ALLOWED, *ABOVE} - {"providers.routes", "providers.sandbox", "providers.diffusers"}:
        (tmp_path / "rushes" / part).mkdir(parents=True, exist_ok=True)
    written = tmp_path / "rushes" / f"{path}.py"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(text)
    assert complaint in broken_rules(tmp_path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("store/videos", "from rushes import wire\nfrom rushes.model import Video"),
        ("store/sqlite", "import apsw"),
        ("providers/routes", "from rushes.config import Config"),
        ("providers/sandbox/film", "import av\nfrom rushes.media.encode import encode"),
        ("config", "import os\nos.environ['A']"),
        ("work/loop", "import os\nos.replace('environ', 'getenv')"),
    ],
)
def test_what_is_allowed_is_let_be(tmp_path: Path, path: str, text: str) -> None:
    for part in ("wire", "model", "media", "config"):
        (tmp_path / "rushes" / part).mkdir(parents=True)
    written = tmp_path / "rushes" / f"{path}.py"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(text)
    assert broken_rules(tmp_path) == []


# Docs


def sections(page: str) -> dict[str, str]:
    """The ``###`` headings of a page of docs, each with the text below it."""
    parts = re.split(r"^### +(.+?) *$", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE)
    return {
        heading.strip("`"): re.split(r"^#", text, flags=re.MULTILINE)[0]
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def moves_told(text: str) -> set[str]:
    [told] = re.findall(r"^Moves to: (.+)\.$", text, flags=re.MULTILINE)
    return set() if told == "nothing" else {word.strip().strip("`") for word in told.split(",")}


def test_the_states_are_told_as_they_are() -> None:
    told = {state: moves_told(text) for state, text in sections("states.md").items()}
    assert told == {str(state): {str(to) for to in after} for state, after in MOVES.items()}


def test_every_code_a_client_can_meet_is_told_and_no_other() -> None:
    inside = {
        "DUPLICATE",
        "LEASE_LOST",
        "UNREADABLE",
        "START",
        "BAD_SETTING",
        "STORE_TOO_NEW",
        "CONFLICT",
        "DAMAGED_COPY",
    }
    assert set(sections("errors.md")) == {kind.code for kind in tree(errors.RushesError)} - inside


def tree(kind: type[errors.RushesError]) -> Iterator[type[errors.RushesError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


def test_every_setting_is_told_and_no_other() -> None:
    known = {f"RUSHES_{field.upper()}" for field in Config.model_fields}
    assert {heading for heading in sections("settings.md") if heading.startswith("RUSHES_")} - {
        "RUSHES_CONFIG"
    } == known
