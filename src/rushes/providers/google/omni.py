"""Gemini Omni, Veo's successor by Google's word: an interaction in the background, which is asked for by its id."""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from rushes.errors import ProviderFailed, ProviderUnreachable
from rushes.providers import Done, Order, Pending, Provider, Refused, Setup
from rushes.providers.facts import needed_key
from rushes.providers.google.answers import asked, failure, find, judge, rejected, save
from rushes.providers.google.options import GoogleOptions
from rushes.providers.pictures import cover, media_type, read
from rushes.providers.vendor import Json, Vendor

_BASE_URL = "https://generativelanguage.googleapis.com"
_TICKET = "interactions/"
_POLL_AFTER = 5.0
_POLL_SECONDS = 110.0
_DOWNLOAD_SECONDS = 600.0
_RESOLUTIONS = {360: "360p", 720: "720p", 1080: "1080p", 2160: "4k"}
_OVER = ("failed", "cancelled", "incomplete", "budget_exceeded", "requires_action", "requires_continuation")
_ID = re.compile(r"[\w.~-]+")


class Omni(Provider):
    """A model of Gemini Omni's. Its ticket is ``interactions/<id>``."""

    def __init__(self, setup: Setup) -> None:
        self._told = GoogleOptions.of("google", setup)
        self.capabilities, self.price = self._told.capabilities, self._told.price("google")
        self._vendor = Vendor(
            "Google",
            self._told.base_url or _BASE_URL,
            {"x-goog-api-key": needed_key("google", setup, "GEMINI_API_KEY")},
            judge=judge,
            allow_private_hosts=setup.allow_private_hosts,
        )

    async def submit(self, order: Order) -> str:
        """Send it, to be made in the background."""
        task, media = await self._media(order)
        body = {
            "model": self._told.id,
            "background": True,
            "input": [{"type": "user_input", "content": [{"type": "text", "text": order.prompt}, *media]}],
            "generation_config": {"video_config": {"task": task}},
            "response_format": self._format(order),
        }
        made = await self._vendor.create("v1/interactions", json=body)
        if isinstance(made, dict) and isinstance(name := made.get("id"), str) and _ID.fullmatch(name):
            return _TICKET + name
        raise ValueError("Google's answer names no interaction")

    async def _media(self, order: Order) -> tuple[str, list[dict[str, str]]]:
        inputs = order.inputs
        if inputs.first_frame:
            return "image_to_video", [_inline("image", await cover(inputs.first_frame, order.width, order.height))]
        if inputs.extend_video:
            return "extend", [_inline("video", await read(inputs.extend_video))]
        if inputs.references:
            return "reference_to_video", [_inline("image", await read(path)) for path in inputs.references]
        return "text_to_video", []

    def _format(self, order: Order) -> dict[str, Any]:
        resolution = _RESOLUTIONS.get(min(order.width, order.height))
        return {
            **self._told.extra,
            "type": "video",
            "aspect_ratio": order.aspect_ratio,
            "duration": f"{order.seconds}s",
            "delivery": "uri",
            **({"resolution": resolution} if resolution else {}),
        }

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ask for the interaction."""
        told = await self._interaction(ticket, _POLL_SECONDS)
        status = told.get("status")
        if status == "completed":
            return _ended(told, ticket)
        if status in _OVER:
            errors = told.get("errors")
            why = errors[0] if isinstance(errors, list) and errors else {"code": status, "message": _text(told)}
            return Refused(failure(why))
        if isinstance(status, str):
            return Pending(_POLL_AFTER)
        raise ProviderUnreachable("Google does not say how the interaction stands.")

    async def _interaction(self, ticket: str, seconds: float) -> dict[str, Any]:
        return await asked(self._vendor, f"v1/{ticket}", params={"stream": "false"}, seconds=seconds)

    async def download(self, done: Done, to: Path) -> None:
        """Fetch the MP4 from Google's files, with the key; or out of the answer."""
        if not done.source.startswith(_TICKET):
            await self._vendor.download(done.source, to)
            return
        video = _video(await self._interaction(done.source, _DOWNLOAD_SECONDS)) or {}
        try:
            await save(str(video.get("data") or ""), to)
        except ValueError as error:
            raise ProviderFailed("Google delivered a video that is not whole.") from error

    async def cancel(self, ticket: str) -> Decimal | None:
        """Ask Google to stop; what it charges for what it had done is not told."""
        await self._vendor.stop(f"v1/{ticket}/cancel", method="POST")
        return None

    async def check(self) -> str | None:
        """Ask for what is known of the model, which costs nothing."""
        return await find(self._vendor, f"v1/models/{self._told.id}", self._told.id)

    async def close(self) -> None:
        """Let go of connections."""
        await self._vendor.close()


def _inline(kind: str, content: bytes) -> dict[str, str]:
    return {"type": kind, "data": base64.b64encode(content).decode(), "mime_type": media_type(content)}


def _ended(told: dict[str, Any], ticket: str) -> Done | Refused:
    if (video := _video(told)) is not None:
        return Done(_file(video["uri"]) if video.get("uri") else ticket)
    if words := _text(told):  # a polite refusal
        return Refused(rejected(words))
    return Refused(ProviderFailed("Google says that it is done and gives no video. Submit it again."))


def _file(uri: str) -> str:
    """A file of Google's is described at its address; its content is one step further."""
    described = re.fullmatch(r"(https?://[^/]+/\w+/files/[\w-]+)/?", uri)
    return f"{described[1]}:download?alt=media" if described else uri


def _video(told: dict[str, Any]) -> dict[str, Any] | None:
    videos = [each for each in _output(told) if each.get("type") == "video" and (each.get("uri") or each.get("data"))]
    return videos[-1] if videos else None


def _text(told: dict[str, Any]) -> str:
    return " ".join(str(each.get("text")).strip() for each in _output(told) if each.get("type") == "text")


def _output(told: Json) -> list[dict[str, Any]]:
    steps = told.get("steps")
    made = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    contents = [step.get("content") for step in made if step.get("type") == "model_output"]
    return [each for content in contents if isinstance(content, list) for each in content if isinstance(each, dict)]
