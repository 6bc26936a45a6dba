"""The page of an export that shows it all: ``export.html`` with the library in it, opened from the disk.

A page on a disk may fetch nothing, so that the items stand in it, as data that no browser runs; its one script and one
style are named to the browser by their hashes, and nothing else runs or loads.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import IO, Any

from rushes import wire

_ITEMS = "<!-- items -->"
_SHOWN: Mapping[str, str] = {
    "id": "id",
    "url": "url",
    "thumbnailImageUrl": "still",
    "prompt": "prompt",
    "createdDate": "created",
    "model": "model",
    "style": "style",
    "aspectRatio": "ratio",
    "width": "width",
    "height": "height",
    "duration": "length",
}


class Wall:
    """Writes the page, an item at a time, newest first; :meth:`end` ends it."""

    def __init__(self, page: IO[str], account: str) -> None:
        self._page = page
        self._before = f'{{"account":{_data(account)},"items":[\n'
        page.write(_parts()[0])

    def add(self, item: Mapping[str, Any]) -> None:
        """Show an item whose links lead from where the page lies."""
        told = {short: item[name] for name, short in _SHOWN.items() if name in item}
        self._page.write(self._before + _data(told))
        self._before = ",\n"

    def end(self) -> None:
        """No more items."""
        self._page.write(("" if self._before == ",\n" else self._before) + "\n]}" + _parts()[1])


def _data(value: object) -> str:
    """JSON in which no browser sees the end of the element it stands in."""
    return wire.dumps(value).replace("<", "\\u003c")


@cache
def _parts() -> tuple[str, str]:
    """What stands before the items and behind them."""
    template = files("rushes.transfer").joinpath("export.html").read_text(encoding="utf-8")
    for element in ("script", "style"):
        template = template.replace(f"{{{element}-hash}}", _hash(template, element))
    before, _, behind = template.partition(_ITEMS)
    return before, behind


def _hash(template: str, element: str) -> str:
    """As a policy names what stands in the first such element without attributes."""
    text = template.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
