"""What Google's answers mean, whichever of its APIs gives them."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rushes.errors import (
    ContentRejected,
    JobFailed,
    ModelRetired,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.providers.vendor import Answer, Json, Vendor

_MODERATED = re.compile(
    r"usage guidelines|support code|responsible.?ai|safety|prohibited|sensitive word|violat|content.?policy|blocked",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(r"API_KEY_INVALID|API key not valid|API key expired", re.IGNORECASE)


def judge(answer: Answer) -> JobFailed | None:
    """What a 400 says: Google uses it for a key it does not know and for what moderation refuses, too."""
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    if answer.status != 400 or not isinstance(error, dict):
        return None
    if _BAD_KEY.search(json.dumps(error)) or error.get("status") == "FAILED_PRECONDITION":
        return ModelUnavailable(
            f"Google did not take the order of this server: {error.get('message')} Its operator can mend that."
        )
    return rejected(error.get("message")) if _MODERATED.search(str(error.get("message"))) else None


def failure(error: Json) -> JobFailed:
    """What ``{code, message}`` of a job that has ended means."""
    told = error if isinstance(error, dict) else {}
    words = str(told.get("message") or "it does not say why")
    if _MODERATED.search(f"{told.get('code')} {words}"):
        return rejected(words)
    return ProviderFailed(f"Google could not make it: {words} ({told.get('code')}). Submit it again.")


def rejected(words: Json) -> ContentRejected:
    """A refusal by moderation, in its words."""
    return ContentRejected(f"Google's moderation refused it: {words or 'it does not say why'}")


async def asked(vendor: Vendor, path: str, **content: Any) -> dict[str, Any]:
    """The answer to a question about an order that stands: while a key is not taken, what was paid for waits.

    Raises:
        ProviderUnreachable, ProviderFailed: as :meth:`Vendor.read`.
    """
    try:
        told = await vendor.read(path, **content)
    except ModelUnavailable as error:
        raise ProviderUnreachable(error.sentence) from None
    if isinstance(told, dict):
        return told
    raise ProviderUnreachable(f"{vendor.name} answered with a list where it should tell of a job.")


async def find(vendor: Vendor, path: str, model: str, headers: Mapping[str, str] | None = None) -> str:
    """Whether the key is taken and the model is there.

    Raises:
        ModelUnavailable, ModelRetired, ProviderUnreachable: it is not, or that cannot be said now.
    """
    answer = await vendor.ask(path, headers=headers)
    if answer.status == 200:
        return f"{vendor.name} takes the key and has {model}"
    if answer.status in (404, 410):
        raise ModelRetired(f"{vendor.name} has no {model} (any more): it answered {answer.status}. Choose another.")
    if answer.status in (401, 403) or isinstance(judge(answer), ModelUnavailable):
        raise ModelUnavailable(f"{vendor.name} does not take the key: it answered {answer.status}.")
    raise ProviderUnreachable(f"{vendor.name} answered {answer.status}.")


async def save(text: str, to: Path) -> None:
    """Write a file that came inside the answer.

    Raises:
        ValueError: it is none.
    """
    await asyncio.to_thread(lambda: to.write_bytes(_decoded(text)))


def _decoded(text: str) -> bytes:
    with suppress(ValueError):  # its own client reads and writes either alphabet
        if content := base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True):
            return content
    raise ValueError("Google's answer holds no whole file")
