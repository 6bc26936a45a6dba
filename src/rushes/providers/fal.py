"""fal.ai's queue: one key for the models of many; an order is put in line and found again by URLs that fal gives.

A model has an endpoint for each thing a request may begin with; ``fal.toml`` says which, and which field gets what, so
that another model of fal's needs lines in ``rushes.toml`` and no code.

fal tries an order again by itself when its own machines fail, under the same request, and does not charge for what
failed: ``x-fal-no-retry`` is not sent. A job that failed is ``COMPLETED`` like any other: only its result says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, PositiveInt
from yarl import URL

from rushes.catalogue import Input
from rushes.errors import (
    ContentRejected,
    InputNotAnImage,
    InputNotAVideo,
    InputTooLarge,
    JobFailed,
    ModelRetired,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.model import Kind
from rushes.providers import Done, Order, Pending, Provider, Refused, Setup
from rushes.providers.endpoints import Endpoints
from rushes.providers.facts import needed_key
from rushes.providers.pictures import data_uri, media_type
from rushes.providers.vendor import Answer, Json, Vendor, in_words

_NAME = "fal"
_POLL_AFTER = {Kind.VIDEO: 4.0, Kind.IMAGE: 1.0}
_LONGEST_UPLOAD = 100 * 2**20
"""Bytes. Longer files would have to be sent in parts."""
_REFUSED_BY_TYPE: Mapping[str, type[JobFailed]] = {
    "content_policy_violation": ContentRejected,
    "file_too_large": InputTooLarge,
    "image_too_large": InputTooLarge,
    "image_too_small": InputNotAnImage,
    "image_load_error": InputNotAnImage,
    "unsupported_image_format": InputNotAnImage,
    "face_detection_error": InputNotAnImage,
    "unsupported_video_format": InputNotAVideo,
    "video_duration_too_long": InputNotAVideo,
    "video_duration_too_short": InputNotAVideo,
}
"""By the ``type`` of an entry of ``detail``."""
_NOTHING_MADE = "no_media_generated"
"""The model gave nothing back: most often because it refused, which only the words say."""
_REFUSAL = re.compile("safe|policy|policies|flagged|moderat|sensitiv|prohibit|blocked|violat", re.IGNORECASE)
_TO_DO: Mapping[type[JobFailed], str] = {
    ContentRejected: "Change the prompt or the pictures and submit it again.",
    InputTooLarge: "Send a smaller file.",
    InputNotAnImage: "Send another picture.",
    InputNotAVideo: "Send another video.",
    ModelRetired: "Choose another.",
    ProviderFailed: "Change the request, or submit it again.",
}

Url = Annotated[str, Field(pattern=r"^https?://[^/?#\s]+[^?#\s]*$")]


class _Options(Endpoints):
    base_url: Url = "https://queue.fal.run"
    api_url: Url = "https://api.fal.ai/v1"
    """Prices."""
    rest_url: Url = "https://rest.fal.ai"
    """Leave to upload."""
    cdn_url: Url = "https://v3.fal.media"
    """Uploads."""
    inline_bytes: int = 4 * 2**20
    """A picture of at most so many bytes goes inside the request; longer ones, and videos, are uploaded before it."""
    keep_seconds: PositiveInt = 7 * 86400
    """For how long fal keeps what was uploaded and made; it is fetched as soon as it is ready."""


class _Ticket(NamedTuple):
    """The URLs fal gave, and the endpoint, by which it charges."""

    endpoint: str
    status: str
    response: str
    cancel: str

    def __str__(self) -> str:
        return json.dumps(self._asdict())

    @classmethod
    def read(cls, text: str) -> _Ticket:
        return cls(**json.loads(text))


class Fal(Provider):
    """A model at fal.ai. Options: ``id``, ``resolution``, ``audio``, ``extra``, ``inline_bytes``, ``keep_seconds``; for
    a model that is not in ``fal.toml``: ``text``, ``first_frame``, ``extend_video``, ``references``.
    """

    def __init__(self, setup: Setup) -> None:
        self._told = _Options.of(_NAME, setup)
        self.capabilities, self.price = self._told.capabilities, self._told.price(_NAME)
        self._poll_after = _POLL_AFTER[setup.kind]
        key = {"Authorization": f"Key {needed_key(_NAME, setup, 'FAL_KEY')}"}
        self._queue = Vendor(
            _NAME, self._told.base_url, key, judge=_judge, allow_private_hosts=setup.allow_private_hosts
        )
        self._api = Vendor(_NAME, self._told.api_url, key)
        self._rest = Vendor(_NAME, self._told.rest_url, key)
        self._cdn = Vendor(_NAME, self._told.cdn_url, {})  # it takes leave given by the one before, no key

    def seconds(self, asked: int, begins: Input | None) -> int:
        """What its endpoint makes of so many."""
        return self._told.seconds(asked, begins)

    async def submit(self, order: Order) -> str:
        """Put it in line."""
        place = self._told.place(order).endpoint
        fields = await self._told.fields(order, self._link)
        made = await self._queue.create(place, json=fields, headers=self._kept)
        ticket = _Ticket(place, *(made[f"{name}_url"] for name in _Ticket._fields[1:]))
        for url in ticket[1:]:
            if URL(url).origin() != self._queue.base.origin():
                raise ValueError(f"fal gave a URL of another host: {URL(url).host}")
        return str(ticket)

    async def _link(self, content: bytes) -> str:
        """What fal finds the file by. Not every model takes a video inside its request; an upload is always taken."""
        is_picture = media_type(content).startswith("image/")
        return data_uri(content) if is_picture and len(content) <= self._told.inline_bytes else await self._put(content)

    async def _put(self, content: bytes) -> str:
        if len(content) > _LONGEST_UPLOAD:
            raise InputTooLarge(f"fal is sent files of at most {_LONGEST_UPLOAD:,} bytes. Send a smaller one.")
        leave = await self._rest.upload("storage/auth/token?storage_type=fal-cdn-v3", json={})
        headers = {
            **self._kept,
            "Authorization": f"{_text(leave, 'token_type')} {_text(leave, 'token')}",
            "Content-Type": media_type(content),
            "X-Fal-File-Name": f"input.{media_type(content).split('/')[1]}",
        }
        return _text(await self._cdn.upload("files/upload", data=content, headers=headers), "access_url")

    @property
    def _kept(self) -> dict[str, str]:
        told = json.dumps({"expiration_duration_seconds": self._told.keep_seconds})
        # The queue reads the one name, the store of uploads the other.
        return {"X-Fal-Object-Lifecycle-Preference": told, "X-Fal-Object-Lifecycle": told}

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ask how it stands; of one that has ended, what came of it."""
        place = _Ticket.read(ticket)
        told = await self._queue.read(place.status)
        match told.get("status") if isinstance(told, dict) else None:
            case "IN_QUEUE":
                before = told.get("queue_position")
                return Pending(self._poll_after, position=before + 1 if isinstance(before, int) else None)
            case "IN_PROGRESS":
                return Pending(self._poll_after)
            case "COMPLETED":
                return await self._ended(place, told)
            case status:
                raise ProviderUnreachable(f"fal answered with a state it should not be in: {status!r}.")

    async def _ended(self, place: _Ticket, told: dict[str, Any]) -> Done | Refused:
        answer = await self._queue.ask(place.response)
        if error := _failure(answer, told):
            return Refused(error, await self._charged(place.endpoint, answer))
        if answer.status >= 300 or not isinstance(answer.body, dict):
            raise ProviderUnreachable(f"fal answered {answer.status}{in_words(answer.body)}, asked for a result.")
        return _made(answer.body, await self._charged(place.endpoint, answer))

    async def _charged(self, endpoint: str, answer: Answer) -> Decimal | None:
        """What fal counted, at its price of today; a price that is not to be had keeps no result waiting."""
        if answer.status >= 500 and (_refusal(answer) or _kind(answer)):
            return Decimal(0)  # "Server errors (HTTP 500+) are never charged"; of a 422 only the header can tell
        with suppress(InvalidOperation, JobFailed, ProviderUnreachable):
            units = Decimal(answer.headers.get("X-Fal-Billable-Units", ""))
            if units.is_finite() and units >= 0 and (dollars := await self._unit_price(endpoint)) is not None:
                return units * dollars
        return None

    async def _unit_price(self, endpoint: str) -> Decimal | None:
        return _dollars(await self._api.probe(f"models/pricing?endpoint_id={endpoint}"), endpoint)

    async def download(self, done: Done, to: Path) -> None:
        """Fetch it from fal's public store, without the key."""
        await self._queue.download(done.source, to)

    async def cancel(self, ticket: str) -> Decimal | None:
        """``PUT``: an order still in line is taken out of it, and costs nothing; one at work is asked to stop."""
        answer = await self._queue.stop(_Ticket.read(ticket).cancel, method="PUT")
        status = answer.body.get("status") if isinstance(answer.body, dict) else None
        return Decimal(0) if (answer.status, status) == (200, "OK") else None

    async def check(self) -> str | None:
        """Ask for the price of every endpoint, which costs nothing."""
        told = [f"{each} ({await self._unit_price(each)})" for each in self._told.places]
        return f"fal answers, and has {', '.join(told)}; in brackets: dollars for its unit"

    async def close(self) -> None:
        """Let go of connections."""
        for vendor in (self._queue, self._api, self._rest, self._cdn):
            await vendor.close()


def _text(answer: Json, name: str) -> str:
    """A field of an answer about an upload: without it nothing was ordered yet."""
    if isinstance(answer, dict) and isinstance(text := answer.get(name), str) and text:
        return text
    raise ProviderUnreachable(f"fal's storage answered without a {name}.")


def _judge(answer: Answer) -> JobFailed | None:
    """What an order was refused for; all else is what the HTTP status says."""
    return _refusal(answer) if answer.status in (400, 422) else None


def _failure(answer: Answer, told: Mapping[str, Any]) -> JobFailed | None:
    """What became of a job that did not succeed; ``None`` where this is no word about the job."""
    if error := _refusal(answer):
        return error
    if _is_gone(answer):
        return _error(ModelRetired, "fal has no such endpoint (any more)", in_words(answer.body))
    kind = told.get("error_type") or _kind(answer)
    if kind or told.get("error"):
        return _error(ProviderFailed, "fal could not make it", in_words(told.get("error") or answer.body or kind))
    if answer.status in (404, 410):
        return ProviderFailed(
            "fal does not have this job's result any more; look there before you submit it again: it may have been "
            "charged."
        )
    if answer.status in (400, 422):
        return _error(ProviderFailed, "fal refused the request", in_words(answer.body))
    return None


def _refusal(answer: Answer) -> JobFailed | None:
    """What the entries of ``detail`` say: the model's own words about what it was sent."""
    listed = answer.body.get("detail") if isinstance(answer.body, dict) else None
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    for entry in entries:
        said = in_words(entry.get("msg") or entry.get("type"))
        if entry.get("type") == _NOTHING_MADE and _REFUSAL.search(said):
            return _error(ContentRejected, "The model gave nothing back", said)
        if kind := _REFUSED_BY_TYPE.get(str(entry.get("type"))):
            return _error(kind, "fal refused it", said)
    return _error(ProviderFailed, "fal could not make it", _about(entries[0])) if entries else None


def _about(entry: Mapping[str, Any]) -> str:
    """An entry's words, and which field they are about."""
    place = [str(each) for each in entry.get("loc") or () if each != "body"]
    return in_words(entry.get("msg") or entry.get("type")) + (f" ({'.'.join(place)})" if place else "")


def _error(kind: type[JobFailed], what: str, said: str) -> JobFailed:
    return kind(f"{what}{said}. {_TO_DO[kind]}")


def _is_gone(answer: Answer) -> bool:
    """The app is there, the endpoint of it is not."""
    body = answer.body if answer.status == 404 and isinstance(answer.body, dict) else {}
    return body.get("error_code") == "path_does_not_exist" or str(body.get("detail")).startswith("Path ")


def _kind(answer: Answer) -> str | None:
    """The ``error_type`` of what failed at fal itself; a 429 may bear one too, and says nothing about the job."""
    body = answer.body if isinstance(answer.body, dict) else {}
    kind = body.get("error_type") or answer.headers.get("X-Fal-Error-Type")
    return str(kind) if kind and answer.status >= 499 else None


def _made(result: Mapping[str, Any], cost: Decimal | None) -> Done | Refused:
    """The file of a result: a video, or the first of the images."""
    if any(_listed(result, "has_nsfw_concepts")):
        return Refused(_error(ContentRejected, "fal's safety check left a black picture of it", ""), cost)
    files = [result.get("video"), *_listed(result, "images")]
    urls = [each["url"] for each in files if isinstance(each, dict) and isinstance(each.get("url"), str)]
    if urls:
        return Done(urls[0], cost)
    return Refused(_error(ProviderFailed, "fal delivered neither a video nor an image", ""), cost)


def _listed(result: Mapping[str, Any], name: str) -> list[Json]:
    found = result.get(name)
    return found if isinstance(found, list) else []


def _dollars(body: Json, endpoint: str) -> Decimal | None:
    for each in _listed(body, "prices") if isinstance(body, dict) else []:
        if isinstance(each, dict) and each.get("endpoint_id") == endpoint and each.get("currency") == "USD":
            with suppress(InvalidOperation):
                return Decimal(str(each.get("unit_price")))
    return None
