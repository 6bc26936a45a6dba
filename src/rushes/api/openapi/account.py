"""What an account may spend, what can be made for it, and what has happened in it."""

from __future__ import annotations

from rushes.api.openapi import examples, parameters
from rushes.api.openapi.operation import (
    COPIED,
    QUERY,
    V1,
    WITH_KEY,
    Operation,
    Paths,
    link,
    ok,
    ok_or_unchanged,
    operation,
)
from rushes.api.openapi.responses import given
from rushes.api.openapi.schemas import listed, ref


def account() -> Paths:
    """Credits, models and changes."""
    return {
        f"{V1}/quota": {"get": _quota()},
        f"{V1}/aicredits/usage": {"get": _usage()},
        f"{V1}/aistudio/models": {"get": _models()},
        f"{V1}/aistudio/changes": {"get": _changes()},
    }


def _quota() -> Operation:
    told = "This month's AI credits (UTC): what is charged, and the limit. The other three are always 0 here."
    answered = ok(given("The quota.", "Quota", examples.quota()), WITH_KEY)
    return operation("get_quota", "Credits", "Get the quota", told, answered)


def _usage() -> Operation:
    told = "A month of the ledger, newest first. Only what entered a library is charged."
    lines = listed(ref("LedgerEntry"), "Newest first.")
    answered = ok_or_unchanged(given("The month's lines.", lines, examples.ledger(), *COPIED), (*QUERY, *WITH_KEY))
    asked = [*parameters.month(), parameters.if_none_match()]
    return operation("list_credit_usage", "Credits", "List what was charged", told, answered, parameters=asked)


def _models() -> Operation:
    told = (
        "What this server can make: each model's ratios, durations, prices and inputs, and whether it has a provider."
    )
    answered = ok_or_unchanged(given("The models.", "ModelPage", examples.models(), *COPIED), WITH_KEY)
    asked = [parameters.if_none_match()]
    return operation("list_models", "Models and changes", "List models", told, answered, parameters=asked)


def _changes() -> Operation:
    told = (
        "Everything that entered or left the libraries, oldest first, for tools that keep a copy. Ask again with the "
        "`since` of the last answer, now or next week: nothing is missed and nothing told twice."
    )
    answer = given("What happened.", "Changes", examples.changes(), *COPIED)
    answer["links"] = {"go_on": link("list_changes", "What came after.", since="$response.body#/since")}
    answered = ok_or_unchanged(answer, (*QUERY, *WITH_KEY))
    asked = [parameters.since(), parameters.limit(), parameters.if_none_match()]
    return operation("list_changes", "Models and changes", "List changes", told, answered, parameters=asked)
