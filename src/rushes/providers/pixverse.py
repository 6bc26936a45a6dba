"""PixVerse's own platform API: inputs are uploaded first, a create gives a number, the number is polled.

Every answer is HTTP 200 with an ``ErrCode``: only 0 is a success. ``Ai-trace-id`` must stand on every call; the same
one again gives the first call's answer. So a create bears its job's id, which makes it safe to send again, and every
other call a fresh one: a poll that repeats one is told "generating" for ever.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiohttp
from pydantic import Field

from rushes.errors import (
    ContentRejected,
    InputNotAnImage,
    InputTooLarge,
    JobFailed,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.providers import Done, Order, Pending, Price, Provider, Refused, Setup
from rushes.providers.facts import Options, facts, needed_key
from rushes.providers.pictures import cover, media_type, read
from rushes.providers.vendor import Answer, Json, Vendor

_NAME = "pixverse"
_SAID = "PixVerse"
_POLL_AFTER = 4.0
_BUSY = (500044, 500069)
_LOST = 500008
_BROKEN = 500100
"""Something failed there: it does not say whether what was asked was done."""
_MEANINGS: Mapping[int, type[JobFailed]] = {
    10003: ModelUnavailable,
    10005: ModelUnavailable,
    400012: ModelUnavailable,
    500020: ModelUnavailable,
    500090: ModelUnavailable,
    500054: ContentRejected,
    500063: ContentRejected,
    500064: ContentRejected,
    500030: InputTooLarge,
    500031: InputNotAnImage,
    500032: InputNotAnImage,
    500033: InputTooLarge,
}
"""By ``ErrCode``; any other says no to what was asked."""
_TO_DO: Mapping[type[JobFailed], str] = {
    ModelUnavailable: "Its operator can mend that: key, plan or balance.",
    ContentRejected: "Change the prompt or the pictures and submit it again.",
    InputTooLarge: "Send a smaller picture.",
    InputNotAnImage: "Send another picture.",
    ProviderFailed: "Change the request and submit it again.",
}


class _Options(Options):
    base_url: str = Field(default="https://app-api.pixverse.ai/openapi/v2", pattern=r"^https?://[^/?#\s]+[^?#\s]*$")
    quality: Literal["360p", "540p", "720p", "1080p"] = "720p"
    audio: bool = False
    """Whether the video gets a sound track."""
    media_field: str = "file"
    """The form's field of an uploaded video: third parties say ``file`` and ``media``."""
    extra: dict[str, str | int | float | bool] = {}
    """Fields of the platform's own (``negative_prompt``, ``style``, ``seed`` …), sent with every create as they are."""
    dollars_per_credit: Decimal | None = None
    per_second: Mapping[str, Decimal] = {}
    """Dollars by quality."""
    audio_per_second: Decimal = Decimal(0)

    def price(self, provider: str) -> Price | None:
        """By what the list says for the quality and the sound of this route."""
        listed = self.per_second.get(self.quality)
        if self.dollars is not None or self.dollars_per_second is not None or listed is None:
            return super().price(provider)
        dollars = listed + (self.audio_per_second if self.audio else 0)
        return Price(dollars, per_second=True, table=f"{provider} {facts(provider).version}")


class _Ticket(NamedTuple):
    """``<video_id>``, or ``<video_id> <dollars>`` where the create said what it charged."""

    video: str
    dollars: Decimal | None = None

    def __str__(self) -> str:
        return self.video if self.dollars is None else f"{self.video} {self.dollars}"

    @classmethod
    def read(cls, text: str) -> _Ticket:
        video, _, dollars = text.partition(" ")
        return cls(video, Decimal(dollars) if dollars else None)


class PixVerse(Provider):
    """A model of PixVerse's. Options: ``id``, ``base_url`` (another region), ``quality``, ``audio``, ``extra``,
    ``media_field``.
    """

    idempotent = True

    def __init__(self, setup: Setup) -> None:
        self._told = _Options.of(_NAME, setup)
        self.capabilities, self.price = self._told.capabilities, self._told.price(_NAME)
        self._vendor = Vendor(
            _SAID,
            self._told.base_url,
            {"API-KEY": needed_key(_NAME, setup, "PIXVERSE_API_KEY")},
            judge=_judge,
            allow_private_hosts=setup.allow_private_hosts,
        )

    async def submit(self, order: Order) -> str:
        """Upload what it is made from, then send it under its own trace."""
        path, fields = await self._request(order)
        content = {**self._told.extra, **fields}
        made = _resp(await self._vendor.create(path, json=content, headers={"Ai-trace-id": order.job_id})) or {}
        video = made.get("video_id")
        if isinstance(video, bool) or not isinstance(video, int | str) or not str(video).isalnum():
            raise ValueError("PixVerse's answer names no video")
        return str(_Ticket(str(video), self._dollars(made.get("credits"))))

    async def _request(self, order: Order) -> tuple[str, dict[str, Any]]:
        fields: dict[str, Any] = {
            "model": self._told.id,
            "prompt": order.prompt,
            "duration": order.seconds,
            "quality": self._told.quality,
            **({"generate_audio_switch": True} if self._told.audio else {}),
        }
        if order.inputs.first_frame:  # the picture's own shape is the video's
            first = await cover(order.inputs.first_frame, order.width, order.height)
            return "video/img/generate", {**fields, "img_id": await self._image(first)}
        if order.inputs.extend_video:
            media = await self._video(await read(order.inputs.extend_video))
            return "video/extend/generate", {**fields, "video_media_id": media}
        fields["aspect_ratio"] = order.aspect_ratio
        if order.inputs.references:
            return "video/fusion/generate", {**fields, **await self._fusion(order)}
        return "video/text/generate", fields

    async def _fusion(self, order: Order) -> dict[str, Any]:
        named = {f"picture{number}": path for number, path in enumerate(order.inputs.references, 1)}
        references = [
            {"type": "subject", "img_id": await self._image(await read(path)), "ref_name": name}
            for name, path in named.items()
        ]
        return {"image_references": references, "prompt": _naming(order.prompt, named)}

    async def _image(self, content: bytes) -> int:
        return await self._uploaded("image/upload", "image", content, "img_id")

    async def _video(self, content: bytes) -> int:
        return await self._uploaded("media/upload", self._told.media_field, content, "media_id")

    async def _uploaded(self, path: str, field: str, content: bytes, answered: str) -> int:
        form, kind = aiohttp.FormData(default_to_multipart=True), media_type(content)
        form.add_field(field, content, filename=f"input.{_ending(kind)}", content_type=kind)
        name = _understood(await self._vendor.upload(path, data=form, headers=_fresh())).get(answered)
        if isinstance(name, int) and not isinstance(name, bool):
            return name
        raise ProviderUnreachable("PixVerse took an input and did not say what it calls it.")

    def _dollars(self, credits: Json) -> Decimal | None:
        worth = self._told.dollars_per_credit
        if worth is None or isinstance(credits, bool) or not isinstance(credits, int | float) or credits < 0:
            return None
        return Decimal(str(credits)) * worth

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ask for the video's state."""
        asked = _Ticket.read(ticket)
        told = await self._asked(f"video/result/{asked.video}")
        match told.get("status"):
            case 1:
                return Done(_url(told), asked.dollars)
            case 6:
                words = "The video was deleted at PixVerse before it was fetched. Submit it again."
                return Refused(ProviderFailed(words), asked.dollars)
            case 7:  # its credits are given back
                words = "PixVerse's moderation refused the video it had made. Change the prompt and submit it again."
                return Refused(ContentRejected(words), Decimal(0))
            case 8:
                return Refused(ProviderFailed("PixVerse could not make it and does not say why. Submit it again."))
        return Pending(_POLL_AFTER)  # 5, 9, 10 and whatever it may say tomorrow

    async def _asked(self, path: str) -> dict[str, Any]:
        try:
            return _understood(await self._vendor.read(path, headers=_fresh()))
        except ModelUnavailable as error:  # a key that is not taken today may be tomorrow; what was ordered waits
            raise ProviderUnreachable(error.sentence) from None

    async def download(self, done: Done, to: Path) -> None:
        """Fetch the MP4 from where PixVerse keeps it, without the key."""
        await self._vendor.download(done.source, to)

    async def check(self) -> str | None:
        """Ask for the balance, which costs nothing. Whether the model is to be had is not told by it."""
        told = _understood(await self._vendor.read("account/balance", headers=_fresh()))
        left = sum(each for each in (told.get("credit_monthly"), told.get("credit_package")) if isinstance(each, int))
        if left <= 0:
            raise ModelUnavailable("PixVerse takes the key, and no credits are left on it; buy some.")
        return f"PixVerse takes the key, and {left} credits are left on it"

    async def close(self) -> None:
        """Let go of connections."""
        await self._vendor.close()


def _judge(answer: Answer) -> JobFailed | ProviderUnreachable | None:
    code = answer.body.get("ErrCode") if isinstance(answer.body, dict) else None
    if not isinstance(code, int) or code in (0, _BROKEN):
        return None
    said = f"{answer.body.get('ErrMsg') or 'no reason is given'} ({code})"
    if code in _BUSY:  # where the status says so too, its header may say for how long
        return None if answer.status >= 300 else ProviderUnreachable(f"PixVerse says not now: {said}.")
    if code == _LOST:
        return ProviderFailed(f"PixVerse does not know this (any more): {said}; look there before you submit it again.")
    meaning = _MEANINGS.get(code, ProviderFailed)
    return meaning(f"PixVerse refused it: {said}. {_TO_DO[meaning]}")


def _resp(body: Json) -> dict[str, Any] | None:
    """What a success holds; ``None``: it is none, though no code says so that is known."""
    resp = body.get("Resp") if isinstance(body, dict) and body.get("ErrCode") == 0 else None
    return resp if isinstance(resp, dict) else None


def _understood(body: Json) -> dict[str, Any]:
    if (resp := _resp(body)) is not None:
        return resp
    raise ProviderUnreachable("PixVerse answered with what is neither a success nor a refusal.")


def _naming(prompt: str, names: Iterable[str]) -> str:
    """The prompt with every ``@name`` in it, each before a space: PixVerse wants every picture named so."""
    missing = [name for name in names if f"@{name} " not in prompt]
    return "".join(f"@{name} " for name in missing) + prompt


def _ending(kind: str) -> str:
    return {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "video/quicktime": "mov"}.get(kind, "mp4")


def _url(told: dict[str, Any]) -> str:
    if isinstance(url := told.get("url"), str) and url:
        return url
    raise ProviderUnreachable("PixVerse says that it is done and not where.")


def _fresh() -> dict[str, str]:
    return {"Ai-trace-id": str(uuid.uuid4())}
