"""Which links are our own (contract B5): read from storage, in whatever spelling they come."""

from __future__ import annotations

import pytest

from rushes import config, ids
from rushes.work.inputs import own_file

NAME = f"videos/user/{ids.uuid()}/{ids.uuid()}.mp4"
ORIGIN = "http://studio.example:8700"
SETTINGS = {"public_url": "https://films.example/base", "url_aliases": frozenset({"http://localhost:8700"})}


@pytest.mark.parametrize(
    "base",
    [
        ORIGIN,
        "HTTP://Studio.EXAMPLE:8700",
        "https://films.example/base",
        "https://FILMS.example:443/base",
        "http://localhost:8700",
    ],
)
@pytest.mark.parametrize("behind", ["", "?x=1", "#t=3"])
def test_ours_are_the_public_address_the_one_called_and_the_aliases(base: str, behind: str) -> None:
    found = own_file(f"{base}/{NAME}{behind}", config.load(**SETTINGS), ORIGIN)
    assert found is not None
    assert found["name"] == NAME


@pytest.mark.parametrize(
    "url",
    [
        f"http://other.example/{NAME}",
        f"https://studio.example:8700/{NAME}",
        f"http://studio.example/{NAME}",
        f"http://studio.example:87000/{NAME}",
        f"http://studio.example:8700.evil.example/{NAME}",
        f"http://evil.example/http://studio.example:8700/{NAME}",
        f"https://films.example/{NAME}",
        f"https://films.example/based/{NAME}",
        f"{ORIGIN}/{NAME.upper()}",
        f"{ORIGIN}/../{NAME}",
        f"{ORIGIN}/{NAME}/x",
        "http://studio.example:8700",
        "studio.example:8700/" + NAME,
        "",
    ],
)
def test_nothing_else_is(url: str) -> None:
    assert own_file(url, config.load(**SETTINGS), ORIGIN) is None
