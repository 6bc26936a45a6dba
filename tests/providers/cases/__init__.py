"""The providers that the contract suite runs."""

from __future__ import annotations

import os

from tests.providers.cases import control, fal, google, openai_compatible, pixverse, replicate, sandbox
from tests.providers.cases.case import Case

CASES: list[Case] = [
    *fal.CASES,
    *google.CASES,
    *openai_compatible.CASES,
    *pixverse.CASES,
    *replicate.CASES,
    *sandbox.CASES,
]

if os.environ.get("RUSHES_TEST_CONTROL"):
    CASES = control.CASES
