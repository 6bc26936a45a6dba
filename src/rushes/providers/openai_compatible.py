"""OpenAI's wire shape, served by many: ``/v1/videos`` and ``/v1/images/generations`` (vLLM-Omni, SGLang, LiteLLM).

A video is a job of the server's: multipart in, polled, its content fetched from the same host. An image comes with the
answer. The servers keep jobs in memory: one that was restarted has lost them, which ends the job.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from rushes.catalogue import Input
from rushes.errors import ContentRejected, JobFailed, ModelRetired, ProviderFailed, ProviderUnreachable
from rushes.model import Kind
from rushes.providers import Delivered, Done, Order, Pending, Provider, Refused, Setup
from rushes.providers.facts import Options
from rushes.providers.pictures import cover, media_type, read
from rushes.providers.vendor import Answer, Json, Vendor

_NAME = "openai_compatible"
_POLL_AFTER = 2.0
_SYNC_SECONDS = 600.0
_UNDER_WAY = ("queued", "in_progress", "processing")
_MODERATED = ("moderation_blocked", "content_policy_violation", "content_filter")


Scalar = str | int | float | bool


class _Options(Options):
    inputs: frozenset[Input] = frozenset({Input.FIRST_FRAME})
    extra: dict[str, Scalar] = {}
    """Fields of the server's own (``num_inference_steps``, ``seed`` …), sent with every request as they are."""


class OpenAICompatible(Provider):
    """A model of such a server. Options: ``base_url`` (``http://localhost:8000/v1``), ``id``, ``extra``."""

    def __init__(self, setup: Setup) -> None:
        self._told = _Options.of(_NAME, setup)
        self.capabilities, self.price = self._told.capabilities, self._told.price(_NAME)
        key = setup.key("OPENAI_API_KEY")
        self._vendor = Vendor(
            self._told.base_url.split("://")[1].split("/")[0],
            self._told.base_url,
            {"Authorization": f"Bearer {key}"} if key else {},
            judge=_judge,
            allow_private_hosts=setup.allow_private_hosts,
        )

    async def submit(self, order: Order) -> str | Delivered:
        """Send it; an image comes back at once."""
        if order.kind is Kind.IMAGE:
            return await self._image(order)
        made = await self._vendor.create("videos", data=await self._form(order))
        if isinstance(made, dict) and isinstance(name := made.get("id"), str) and name:
            return name
        raise ValueError("the server's answer names no job")

    async def _form(self, order: Order) -> aiohttp.FormData:
        form = aiohttp.FormData(default_to_multipart=True)
        fields: dict[str, Scalar] = {"model": self._told.id, "prompt": order.prompt, "seconds": order.seconds}
        for name, value in {**fields, "size": f"{order.width}x{order.height}", **self._told.extra}.items():
            form.add_field(name, _spelled(value))
        if order.inputs.first_frame:
            first = await cover(order.inputs.first_frame, order.width, order.height)
            form.add_field("input_reference", first, filename="first_frame.png", content_type="image/png")
        for reference in order.inputs.references:
            content = await read(reference)
            form.add_field("input_references", content, filename=reference.name, content_type=media_type(content))
        return form

    async def _image(self, order: Order) -> str | Delivered:
        fields: dict[str, Any] = {
            **self._told.extra,
            "model": self._told.id,
            "prompt": f"{order.prompt} ({order.style} style)" if order.style else order.prompt,
            "size": f"{order.width}x{order.height}",
            "n": 1,
        }
        if order.inputs.references:
            answer = await self._vendor.create(
                "images/edits", data=await self._edit(fields, order), seconds=_SYNC_SECONDS
            )
        else:
            told = {**fields, "response_format": "b64_json"}
            answer = await self._vendor.create("images/generations", json=told, seconds=_SYNC_SECONDS)
        item, cost = answer["data"][0], _dollars(answer)
        text, url = item.get("b64_json"), item.get("url")
        if not text and "://" in url:  # it has been made: fetching it is what polls and downloads are for
            return json.dumps({"url": url, "cost": None if cost is None else str(cost)})
        await asyncio.to_thread(order.result.write_bytes, _decoded(text or url))
        return Delivered(cost)

    async def _edit(self, fields: dict[str, Any], order: Order) -> aiohttp.FormData:
        form, content = aiohttp.FormData(default_to_multipart=True), await read(order.inputs.references[0])
        for name, value in fields.items():
            form.add_field(name, _spelled(value))
        form.add_field("image", content, filename="reference", content_type=media_type(content))
        return form

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ask for the job."""
        if ticket.startswith("{"):
            made = json.loads(ticket)
            return Done(made["url"], None if made["cost"] is None else Decimal(made["cost"]))
        told = await self._vendor.read(f"videos/{ticket}")
        status = told.get("status") if isinstance(told, dict) else None
        if status == "completed":
            # SGLang puts a result it has stored elsewhere behind a link; all others serve the content themselves.
            return Done(told.get("url") or f"videos/{ticket}/content", _dollars(told))
        if status in ("failed", "cancelled", "deleted"):
            return Refused(_failure(self._vendor.name, told), _dollars(told))
        if status in _UNDER_WAY:
            return Pending(_POLL_AFTER, _share(told.get("progress")))
        raise ProviderUnreachable(f"{self._vendor.name} answered with a state it should not be in: {status!r}.")

    async def download(self, done: Done, to: Path) -> None:
        """Fetch the MP4."""
        await self._vendor.download(done.source, to)

    async def cancel(self, ticket: str) -> Decimal | None:
        """``DELETE``: vLLM-Omni stops, SGLang forgets."""
        if not ticket.startswith("{"):
            await self._vendor.stop(f"videos/{ticket}", method="DELETE")
        return None

    async def check(self) -> str | None:
        """Ask for the list of models, which costs nothing."""
        listed = await self._vendor.read("models")
        models = listed.get("data") if isinstance(listed, dict) else None
        names = [each.get("id") for each in models or [] if isinstance(each, dict)]
        if names and self._told.id not in names:
            raise ModelRetired(f"{self._vendor.name} has {', '.join(map(str, names))}, and no {self._told.id}.")
        return f"{self._vendor.name} answers, and {self._told.id} is among its models"

    async def close(self) -> None:
        """Let go of connections."""
        await self._vendor.close()


def _judge(answer: Answer) -> JobFailed | None:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    if isinstance(error, dict) and error.get("code") in _MODERATED and answer.body.get("status") is None:
        return _rejected(error)
    return None


def _failure(name: str, told: dict[str, Any]) -> JobFailed:
    error = told.get("error") or {}
    if isinstance(error, dict) and error.get("code") in _MODERATED:
        return _rejected(error)
    words = error.get("message") if isinstance(error, dict) else error
    return ProviderFailed(f"{name} could not make it: {words or 'it does not say why'}. Submit it again.")


def _rejected(error: dict[str, Any]) -> ContentRejected:
    return ContentRejected(f"The provider's moderation refused it: {error.get('message') or 'it does not say why'}.")


def _spelled(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _share(progress: Json) -> float | None:
    return min(1.0, max(0.0, progress / 100)) if isinstance(progress, int | float) else None


def _dollars(told: Json) -> Decimal | None:
    """LiteLLM and gateways like it say what an answer cost."""
    usage = told.get("usage") if isinstance(told, dict) else None
    cost = usage.get("cost") if isinstance(usage, dict) else None
    is_amount = isinstance(cost, int | float) and not isinstance(cost, bool) and math.isfinite(cost) and cost >= 0
    return Decimal(str(cost)) if is_amount else None


def _decoded(text: str) -> bytes:
    """Base64, also as a data URI or in lines."""
    plain = text.partition(",")[2] if text.startswith("data:") else text
    return base64.b64decode("".join(plain.split()), validate=True)
