"""Veo on Vertex AI (since 2026 "Gemini Enterprise Agent Platform"): an operation that runs long and is asked for.

Inputs travel inside the request. So does the result inside the answer, tens of megabytes of base64, unless a route
names a ``storage_uri``: then Veo writes it there, and it is fetched with the same identity.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from rushes.catalogue import Input
from rushes.errors import BadSetting, ModelUnavailable, ProviderFailed, ProviderUnreachable
from rushes.providers import Done, Order, Pending, Provider, Refused, Setup
from rushes.providers.google.answers import asked, failure, find, judge, rejected, save
from rushes.providers.google.options import GoogleOptions
from rushes.providers.pictures import cover, media_type, read
from rushes.providers.vendor import Json, Vendor

if TYPE_CHECKING:
    from rushes.providers.google.tokens import Tokens

_POLL_AFTER = 10.0
_POLL_SECONDS = 110.0
_DOWNLOAD_SECONDS = 600.0
_RESOLUTIONS = {720: "720p", 1080: "1080p", 2160: "4k"}
_FIXED_SECONDS = {Input.EXTEND_VIDEO: 7, Input.REFERENCES: 8}
"""What begins so has this length and no other."""
_OPERATION = re.compile(r"(projects/[^/]+/locations/([^/]+)/publishers/google/models/[^/]+)/operations/[^/]+")


class Veo(Provider):
    """A Veo model. Its ticket is the operation's name."""

    tickets: ClassVar[tuple[str, str]] = ("projects/", "gs://")
    """How its tickets and sources begin."""

    def __init__(self, setup: Setup) -> None:
        self._told = GoogleOptions.of("google", setup)
        self.capabilities, self.price = self._told.capabilities, self._told.price("google")
        self._private = setup.allow_private_hosts
        self._tokens = _tokens(setup)
        self._project = self._told.project or self._tokens.project
        if not self._project:
            raise BadSetting(
                f'models."{setup.model}" goes to Veo at google, so it must say in which Google Cloud project: '
                'project = "…".'
            )
        self._vendors: dict[str, Vendor] = {}

    def seconds(self, asked: int, begins: Input | None) -> int:
        """What begins with a video or with references has one length."""
        return asked if begins is None else _FIXED_SECONDS.get(begins, asked)

    async def submit(self, order: Order) -> str:
        """Send it; only its name comes back."""
        body = {"instances": [await self._instance(order)], "parameters": self._parameters(order)}
        headers = await self._tokens.headers()
        vendor = self._vendor(self._told.location)
        made = await vendor.create(f"v1beta1/{self._model}:predictLongRunning", json=body, headers=headers)
        if isinstance(made, dict) and isinstance(name := made.get("name"), str) and _OPERATION.fullmatch(name):
            return name
        raise ValueError("Google's answer names no operation")

    async def _instance(self, order: Order) -> dict[str, Any]:
        instance: dict[str, Any] = {"prompt": order.prompt}
        if order.inputs.first_frame:
            instance["image"] = _inline(await cover(order.inputs.first_frame, order.width, order.height))
        if order.inputs.extend_video:
            instance["video"] = _inline(await read(order.inputs.extend_video))
        if order.inputs.references:
            images = [_inline(await read(path)) for path in order.inputs.references]
            instance["referenceImages"] = [{"image": image, "referenceType": "ASSET"} for image in images]
        return instance

    def _parameters(self, order: Order) -> dict[str, Any]:
        resolution = _RESOLUTIONS.get(min(order.width, order.height))
        storage = self._told.storage_uri
        return {
            **self._told.extra,
            "sampleCount": 1,
            "durationSeconds": self.seconds(order.seconds, order.inputs.begins),
            "aspectRatio": order.aspect_ratio,
            "generateAudio": self._told.audio,
            **({"resolution": resolution} if resolution else {}),
            # Under the job's id, so that a person finds it even when the answer was lost.
            **({"storageUri": f"{storage.rstrip('/')}/{order.job_id}/"} if storage else {}),
        }

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ask for the operation."""
        told = await self._operation(ticket, _POLL_SECONDS)
        if not told.get("done"):
            return Pending(_POLL_AFTER)
        if told.get("error"):
            return Refused(failure(told["error"]))
        answer = told.get("response")
        if (video := _video(answer)) is not None:
            return Done(video.get("gcsUri") or ticket)
        if isinstance(answer, dict) and answer.get("raiMediaFilteredCount"):
            return Refused(rejected(" ".join(map(str, answer.get("raiMediaFilteredReasons") or []))))
        return Refused(ProviderFailed("Google says that it is done and gives no video. Submit it again."))

    async def _operation(self, ticket: str, seconds: float) -> dict[str, Any]:
        if (parts := _OPERATION.fullmatch(ticket)) is None:
            raise ProviderFailed("This is no ticket of Veo's.")
        body, headers = {"operationName": ticket}, await self._standing()
        vendor, path = self._vendor(parts[2]), f"v1beta1/{parts[1]}:fetchPredictOperation"
        return await asked(vendor, path, method="POST", json=body, headers=headers, seconds=seconds)

    async def _standing(self) -> dict[str, str]:
        """What a question about an order that stands bears: a login that has expired may be renewed."""
        try:
            return await self._tokens.headers()
        except ModelUnavailable as error:
            raise ProviderUnreachable(error.sentence) from None

    async def download(self, done: Done, to: Path) -> None:
        """Fetch the MP4 from Cloud Storage, or out of the answer."""
        if done.source.startswith("gs://"):
            await self._stored(done.source, to)
            return
        video = _video((await self._operation(done.source, _DOWNLOAD_SECONDS)).get("response")) or {}
        try:
            await save(str(video.get("bytesBase64Encoded") or ""), to)
        except ValueError as error:
            raise ProviderFailed("Google delivered a video that is not whole.") from error

    async def _stored(self, uri: str, to: Path) -> None:
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        headers = await self._standing()
        storage = Vendor("Google Cloud Storage", self._told.storage_url, headers, allow_private_hosts=self._private)
        try:
            await storage.download(f"storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media", to)
        finally:
            await storage.close()

    async def check(self) -> str | None:
        """Ask for what is known of the model, which costs nothing."""
        path = f"v1beta1/publishers/google/models/{self._told.id}"
        return await find(self._vendor(self._told.location), path, self._told.id, await self._tokens.headers())

    async def close(self) -> None:
        """Let go of connections."""
        for vendor in self._vendors.values():
            await vendor.close()

    @property
    def _model(self) -> str:
        where = f"projects/{self._project}/locations/{self._told.location}"
        return f"{where}/publishers/google/models/{self._told.id}"

    def _vendor(self, location: str) -> Vendor:
        """Each location has a host of its own, and an operation stays where it was begun."""
        if location not in self._vendors:
            host = f"{location}-aiplatform" if location != "global" else "aiplatform"
            url = self._told.base_url or f"https://{host}.googleapis.com"
            self._vendors[location] = Vendor("Google", url, {}, judge=judge, allow_private_hosts=self._private)
        return self._vendors[location]


def _tokens(setup: Setup) -> Tokens:
    try:
        from rushes.providers.google.tokens import Tokens
    except ImportError as error:
        raise BadSetting(
            f'models."{setup.model}" goes to Veo at google, which needs google-auth: pip install "rushes[google]".'
        ) from error
    return Tokens(setup.key("GOOGLE_SERVICE_ACCOUNT"))


def _inline(content: bytes) -> dict[str, str]:
    return {"bytesBase64Encoded": base64.b64encode(content).decode(), "mimeType": media_type(content)}


def _video(answer: Json) -> dict[str, Any] | None:
    videos = answer.get("videos") if isinstance(answer, dict) else None
    return videos[0] if isinstance(videos, list) and videos and isinstance(videos[0], dict) else None
