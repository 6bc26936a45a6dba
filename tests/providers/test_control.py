"""The contract suite itself: a provider that does what none may fails it, at each of its sins."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rushes.providers.routes import PROVIDERS
from tests.providers.cases import CASES

DOCS = Path(__file__).parents[2] / "docs" / "providers"

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
