"""The contract suite itself: a provider that does what none may fails it, at each of its sins; and none is left out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rushes.config import Config
from rushes.providers.routes import PROVIDERS, Routes
from tests.providers.cases import CASES

DOCS = Path(__file__).parents[2] / "docs" / "providers"
VENDORS = sorted({case.name.split()[0] for case in CASES if case.remote})
ROUTES = [
    pytest.param(lines, id=f"{vendor}-{number}")
    for vendor in VENDORS
    for number, lines in enumerate(re.findall(r"```toml\n(.*?)```", (DOCS / f"{vendor}.md").read_text(), re.DOTALL))
]

SINS = {
    "test_a_create_whose_answer_is_cut_off_is_sent_once_and_its_outcome_is_unknown",
    "test_an_answer_that_says_nothing_leaves_the_outcome_unknown",
    "test_a_key_that_is_not_taken_any_more_leaves_the_order_waiting",
    "test_a_poll_that_goes_wrong_is_asked_again",
    "test_a_result_whose_link_is_dead",
    "test_a_result_that_is_cut_off_is_fetched_again",
    "test_a_key_goes_to_its_own_host_alone",
}
VIRTUES = {
    "test_words_alone_become_the_file",
    "test_what_never_ends_is_never_done",
    "test_moderation_refuses_an_order",
    "test_an_option_it_does_not_know_is_refused",
}


def test_a_careless_provider_fails_the_suite_where_it_is_careless() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/providers/test_vendors.py", "-rfEp", "-p", "no:randomly"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "RUSHES_TEST_CONTROL": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    ended = {word: set(re.findall(rf"^{word} \S+::(\w+)", run.stdout, re.MULTILINE)) for word in ("FAILED", "PASSED")}
    assert run.returncode == 1, run.stdout[-3000:]
    assert ended["FAILED"] >= SINS, SINS - ended["FAILED"]
    assert ended["PASSED"] >= VIRTUES, VIRTUES - ended["PASSED"]
    assert not ended["FAILED"] & VIRTUES


def test_every_provider_that_is_built_in_is_tried() -> None:
    elsewhere = {"diffusers"}  # loads a model for minutes where there is one: its own tests do
    assert {case.name.split()[0] for case in CASES} | elsewhere == set(PROVIDERS)
    assert {name for name in PROVIDERS if not (DOCS / f"{name}.md").exists()} == {"sandbox"}


@pytest.mark.anyio
@pytest.mark.parametrize("lines", ROUTES)
async def test_the_lines_of_a_vendors_page_can_be_taken_over(monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    for key in {case.key for case in CASES if case.needs_key}:
        monkeypatch.setenv(key, "a-key")
    routes = Routes(Config(models=tomllib.loads(lines)["models"]))
    routes.check()
    assert routes.offers.videos or routes.offers.images
    await routes.close()


def test_every_vendors_page_has_lines_to_take_over() -> None:
    assert {str(route.id).rpartition("-")[0] for route in ROUTES} == set(VENDORS)
