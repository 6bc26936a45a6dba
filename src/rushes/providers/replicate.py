"""Replicate: every request is a prediction of a model, found again by its id.

Inputs and outputs of predictions are deleted an hour after they end, so a result that is not fetched by then is lost,
and was paid for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import Field

from rushes.catalogue import Input
from rushes.errors import ContentRejected, InputTooLarge, JobFailed, ProviderFailed, ProviderUnreachable
from rushes.model import Kind
from rushes.providers import Done, Order, Pending, Provider, Refused, Setup
from rushes.providers.endpoints import Endpoints
from rushes.providers.facts import needed_key
from rushes.providers.pictures import data_uri, media_type
from rushes.providers.vendor import Answer, Vendor, in_words

_NAME = "replicate"
_SAID = "Replicate"
_POLL_AFTER = {Kind.VIDEO: 5.0, Kind.IMAGE: 1.0}
_LONGEST_UPLOAD = 100 * 2**20
"""Bytes: what its files may have."""
_REFUSAL = re.compile(
    r"\bE005\b|sensitive|flagged|nsfw|moderat|content polic|safety (filter|system|setting)|prohibited|usage guideline"
    r"|responsible ai",
    re.IGNORECASE,
)
"""A model's moderation is told in its error's words alone; E005 is Replicate's own code for it."""
_RESETS = re.compile(r"resets in ~?(\d+(?:\.\d+)?)s")


class _Options(Endpoints):
    base_url: str = Field(default="https://api.replicate.com/v1", pattern=r"^https?://[^/?#\s]+[^?#\s]*$")
    inline_bytes: int = 256_000
    """A file of at most so many bytes goes inside the request; a longer one is uploaded before it."""


class Replicate(Provider):
    """A model at Replicate. Options: ``id``, ``resolution``, ``audio``, ``extra``, ``inline_bytes``; for a model that
    is not in ``replicate.toml``: ``text``, ``first_frame``, ``extend_video``, ``references``.
    """

    def __init__(self, setup: Setup) -> None:
        self._told = _Options.of(_NAME, setup)
        self.capabilities, self.price = self._told.capabilities, self._told.price(_NAME)
        self._poll_after = _POLL_AFTER[setup.kind]
        self._vendor = Vendor(
            _SAID,
            self._told.base_url,
            {"Authorization": f"Bearer {needed_key(_NAME, setup, 'REPLICATE_API_TOKEN')}"},
            judge=_judge,
            allow_private_hosts=setup.allow_private_hosts,
        )

    def seconds(self, asked: int, begins: Input | None) -> int:
        """What its endpoint makes of so many."""
        return self._told.seconds(asked, begins)

    async def submit(self, order: Order) -> str:
        """Ask for a prediction. Moderation may end it before it begins."""
        model, _, version = self._told.place(order).endpoint.partition(":")
        told: dict[str, Any] = {"input": await self._told.fields(order, self._link)}
        if version:
            made = await self._vendor.create("predictions", json={**told, "version": version})
        else:
            made = await self._vendor.create(f"models/{model}/predictions", json=told)
        name = made["id"]
        if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
            raise ValueError("Replicate's answer names no prediction")
        if made.get("status") == "failed" and isinstance(error := _failure(made), ContentRejected):
            raise error
        return name

    async def _link(self, content: bytes) -> str:
        if len(content) <= self._told.inline_bytes:
            return data_uri(content)
        if len(content) > _LONGEST_UPLOAD:
            raise InputTooLarge(f"Replicate takes files of at most {_LONGEST_UPLOAD:,} bytes. Send a smaller one.")
        form, kind = aiohttp.FormData(), media_type(content)
        form.add_field("content", content, filename=f"input.{kind.split('/')[1]}", content_type=kind)
        file = await self._vendor.upload("files", data=form)
        urls = file.get("urls") if isinstance(file, dict) else None
        if isinstance(urls, dict) and isinstance(link := urls.get("get"), str):
            return link
        raise ProviderUnreachable("Replicate took a file and did not say where it is.")

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ask for the prediction."""
        told = await self._vendor.read(f"predictions/{ticket}")
        status = told.get("status") if isinstance(told, dict) else None
        match status:
            case "starting" | "processing":
                return Pending(self._poll_after)
            case "succeeded":
                return _made(told)
            case "failed":
                return Refused(_failure(told))
            case "canceled":
                return Refused(ProviderFailed("It was cancelled at Replicate. Submit it again."))
            case "aborted":
                late = "Replicate had not begun before its deadline, and charged nothing. Submit it again."
                return Refused(ProviderFailed(late), Decimal(0))
        raise ProviderUnreachable(f"Replicate answered with a state it should not be in: {status!r}.")

    async def download(self, done: Done, to: Path) -> None:
        """Fetch it from Replicate's public store, without the key."""
        await self._vendor.download(done.source, to)

    async def cancel(self, ticket: str) -> Decimal | None:
        """Stop it; what has begun is charged."""
        answer = await self._vendor.stop(f"predictions/{ticket}/cancel", method="POST")
        told = answer.body if isinstance(answer.body, dict) else {}
        return Decimal(0) if told.get("status") == "aborted" else None

    async def check(self) -> str | None:
        """Look at the model's page in the API, which costs nothing."""
        for place in self._told.places:
            await self._vendor.probe(f"models/{place.partition(':')[0]}")
        return f"Replicate answers, and has {', '.join(self._told.places)}"

    async def close(self) -> None:
        """Let go of connections."""
        await self._vendor.close()


def _judge(answer: Answer) -> ProviderUnreachable | None:
    """A 429 tells in its words when to come back."""
    if answer.status != 429 or "Retry-After" in answer.headers:
        return None
    said = in_words(answer.body)
    when = _RESETS.search(said)
    return ProviderUnreachable(f"Replicate answered 429{said}.", float(when[1]) if when else None)


def _made(told: Mapping[str, Any]) -> Done | Refused:
    """The file of a prediction that succeeded: some models give one URL, some a list."""
    output = told.get("output")
    first = output[0] if isinstance(output, list) and output else output
    if isinstance(first, str) and first:
        return Done(first)
    if told.get("data_removed"):
        gone = "Replicate deleted the result an hour after it was made, before it was fetched; it was charged."
        return Refused(ProviderFailed(gone))
    return Refused(ProviderFailed("Replicate delivered neither a video nor an image. Submit it again."))


def _failure(told: Mapping[str, Any]) -> JobFailed:
    said = in_words(told.get("error"))
    if _REFUSAL.search(said):
        return ContentRejected(f"The model's moderation refused it{said}. Change the prompt or the pictures.")
    return ProviderFailed(f"Replicate could not make it{said or ': it does not say why'}. Submit it again.")
