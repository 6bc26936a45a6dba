"""Gemini's image models: the picture comes with the answer."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from rushes.errors import ProviderFailed
from rushes.providers import Delivered, Done, Order, Pending, Provider, Refused, Setup
from rushes.providers.facts import needed_key
from rushes.providers.google.answers import find, judge, rejected, save
from rushes.providers.google.options import GoogleOptions
from rushes.providers.pictures import media_type, read
from rushes.providers.vendor import Json, Vendor

_BASE_URL = "https://generativelanguage.googleapis.com"
_REFUSALS = frozenset(
    {
        "SAFETY",
        "IMAGE_SAFETY",
        "PROHIBITED_CONTENT",
        "IMAGE_PROHIBITED_CONTENT",
        "RECITATION",
        "IMAGE_RECITATION",
        "BLOCKLIST",
        "SPII",
    }
)
"""Values of ``finishReason``."""


class GeminiImage(Provider):
    """An image model of Gemini's."""

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

    async def submit(self, order: Order) -> Delivered:
        """Send it, and keep what comes back."""
        body = {
            "contents": [{"role": "user", "parts": await self._parts(order)}],
            "generationConfig": self._config(order),
        }
        answer = await self._vendor.create(f"v1/models/{self._told.id}:generateContent", json=body)
        if (picture := _picture(answer)) is None:
            raise _objection(answer)
        await save(picture, order.result)
        return Delivered()

    async def _parts(self, order: Order) -> list[dict[str, Any]]:
        text = f"{order.prompt} ({order.style} style)" if order.style else order.prompt
        contents = [await read(path) for path in order.inputs.references]
        images = [{"mimeType": media_type(each), "data": base64.b64encode(each).decode()} for each in contents]
        return [{"text": text}, *({"inlineData": image} for image in images)]

    def _config(self, order: Order) -> dict[str, Any]:
        size = {"imageSize": self._told.image_size} if self._told.image_size else {}
        image = {"aspectRatio": order.aspect_ratio, **size}
        return {**self._told.extra, "responseModalities": ["IMAGE"], "imageConfig": image}

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """There is nothing to ask for."""
        return Refused(ProviderFailed("Google's images come at once; there is no job to ask for."))

    async def download(self, done: Done, to: Path) -> None:
        """There is nothing to fetch."""
        raise ProviderFailed("Google's images come at once; there is nothing to fetch.")

    async def check(self) -> str | None:
        """Ask for what is known of the model, which costs nothing."""
        return await find(self._vendor, f"v1/models/{self._told.id}", self._told.id)

    async def close(self) -> None:
        """Let go of connections."""
        await self._vendor.close()


def _picture(answer: Json) -> str | None:
    """The last that is no thought: models that think draw drafts."""
    parts = [part for part in _parts(answer) if isinstance(part.get("inlineData"), dict) and not part.get("thought")]
    data = parts[-1]["inlineData"].get("data") if parts else None
    return data if isinstance(data, str) and data else None


def _objection(answer: Json) -> Exception:
    """Why there is none. Google says no in three ways: of the prompt, of what was drawn, and in plain words."""
    asked = answer.get("promptFeedback") if isinstance(answer, dict) else None
    if isinstance(asked, dict) and (reason := asked.get("blockReason")):
        return rejected(f"{asked.get('blockReasonMessage') or 'the prompt is not allowed'} ({reason}).")
    if (candidate := _candidate(answer)) is None or "finishReason" not in candidate:
        return ValueError("Google's answer holds neither an image nor a reason")
    reason, words = candidate["finishReason"], candidate.get("finishMessage") or _text(answer)
    if reason in _REFUSALS or (reason == "STOP" and words):
        return rejected(f"{words or 'what it drew is not allowed'} ({reason}).")
    return ProviderFailed(f"Google made no image: {words or 'it does not say why'} ({reason}). Submit it again.")


def _text(answer: Json) -> str:
    return " ".join(
        str(part["text"]).strip() for part in _parts(answer) if part.get("text") and not part.get("thought")
    )


def _parts(answer: Json) -> list[dict[str, Any]]:
    content = (_candidate(answer) or {}).get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _candidate(answer: Json) -> dict[str, Any] | None:
    candidates = answer.get("candidates") if isinstance(answer, dict) else None
    return candidates[0] if isinstance(candidates, list) and candidates and isinstance(candidates[0], dict) else None
