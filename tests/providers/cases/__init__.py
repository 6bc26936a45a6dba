"""The providers that the contract suite runs."""

from __future__ import annotations

from tests.providers.cases import fal, google, openai_compatible, pixverse
from tests.providers.cases.case import Case

CASES: list[Case] = [
    *fal.CASES,
    *google.CASES,
    *openai_compatible.CASES,
    *pixverse.CASES,
]
