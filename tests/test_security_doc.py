"""`docs/security.md` names the test that holds each promise: every one of them must be there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "security.md"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
"""A test, by its path below `tests/`."""


def cells(row: str) -> list[str]:
    """What stands in the columns of a row of the table."""
    return [cell.strip() for cell in row.strip("|").split("|")]


ROWS = [cells(line) for line in PAGE.read_text().splitlines() if "::test_" in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_each_threat_names_tests_that_are_there(row: list[str]) -> None:
    _, held, tests = row
    assert held
    assert NAMED.sub("", tests).replace("<br>", "") == "", "nothing but names of tests"
    for path, name in NAMED.findall(tests):
        body = ast.parse((TESTS / path).read_text()).body
        defined = {each.name for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in defined, f"{path} has no {name}"


def test_the_table_is_read() -> None:
    assert len(ROWS) > 20
    assert sum("::" in line for line in PAGE.read_text().splitlines()) == len(ROWS), "a row whose test is misspelled"
