"""fal's queue (``queue.fal.run``), its store of uploads (``rest.fal.ai``, ``v3.fal.media``) and its prices
(``api.fal.ai``), on one host, as fal-client 1.0.3, the typed client 1.10.1 and fal's documentation tell of them.

What a model takes is checked as fal does it: by the runner, so that a wrong field is a job that ends ``COMPLETED`` and
a result that answers 422.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from aiohttp import web

from tests.servers.fake import KEY, Fake, Handler, Json

VEO = {
    "aspect_ratio": ["16:9", "9:16"], "duration": ["4s", "6s", "8s"], "resolution": ["720p", "1080p", "4k"],
    "generate_audio": [True, False], "seed": int, "negative_prompt": str,
}  # fmt: skip
VEO_EXTENDS = {
    "video_url!": "link", "aspect_ratio": ["auto", "16:9", "9:16"], "duration": ["7s"], "resolution": ["720p"],
    "generate_audio": [True, False],
}  # fmt: skip
PIXVERSE = {
    "aspect_ratio": ["16:9", "4:3", "1:1", "3:4", "9:16"], "duration": ["5", "8", "10"],
    "resolution": ["360p", "540p", "720p", "1080p"], "style": ["anime", "clay"], "negative_prompt": str, "seed": int,
    "generate_audio_switch": [True, False],
}  # fmt: skip
SIZED = {"image_size": "size", "num_images": int, "seed": int, "output_format": ["jpeg", "png"]}
BANANA = {
    "aspect_ratio": ["1:1", "16:9", "9:16", "4:3", "3:4"], "num_images": int, "output_format": ["jpeg", "png", "webp"],
}  # fmt: skip
RESOLUTION = {"resolution": ["1K", "2K", "4K"]}

ENDPOINTS: dict[str, Json] = {
    "fal-ai/veo3.1": VEO,
    "fal-ai/veo3.1/image-to-video": {**VEO, "image_url!": "link", "aspect_ratio": ["auto", "16:9", "9:16"]},
    "fal-ai/veo3.1/reference-to-video": {**VEO, "image_urls!": "links", "duration": ["8s"]},
    "fal-ai/veo3.1/extend-video": VEO_EXTENDS,
    "fal-ai/veo3.1/fast": VEO,
    "fal-ai/veo3.1/fast/image-to-video": {**VEO, "image_url!": "link", "aspect_ratio": ["auto", "16:9", "9:16"]},
    "fal-ai/veo3.1/fast/reference-to-video": {**VEO, "image_urls!": "links", "duration": ["8s"]},
    "fal-ai/veo3.1/fast/extend-video": VEO_EXTENDS,
    "fal-ai/pixverse/v5.5/text-to-video": PIXVERSE,
    "fal-ai/pixverse/v5.5/image-to-video": {
        "image_url!": "link", **{name: taken for name, taken in PIXVERSE.items() if name != "aspect_ratio"},
    },
    "fal-ai/pixverse/extend": {
        "video_url!": "link", "duration": ["5", "8"], "model": ["v3.5", "v4", "v4.5", "v5", "v5.5", "v5.6"],
        "resolution": PIXVERSE["resolution"],
    },
    "fal-ai/bytedance/seedream/v3/text-to-image": {"image_size": "size", "num_images": int, "guidance_scale": float},
    "fal-ai/flux/schnell": SIZED,
    "fal-ai/nano-banana": BANANA,
    "fal-ai/nano-banana/edit": {**BANANA, "image_urls!": "links"},
    "fal-ai/nano-banana-pro": {**BANANA, **RESOLUTION},
    "fal-ai/nano-banana-pro/edit": {**BANANA, **RESOLUTION, "image_urls!": "links"},
}  # fmt: skip
"""What each takes beside ``prompt``; an exclamation mark stands behind what it needs."""
APPS = {"/".join(name.split("/")[:2]) for name in ENDPOINTS}


class FalServer(Fake):
    """``charges``: whether results say what they came to. ``end`` may also be ``timeout`` (fal's own machines),
    ``policy`` (the entry does not come first), ``empty`` (a model that gave nothing back), ``unsafe`` (the same, with
    words), ``picture`` (an input that is none), ``black`` (a safety check's picture).
    """

    def __init__(self, film: bytes, picture: bytes) -> None:
        super().__init__(film, picture)
        self.uploads: dict[str, bytes] = {}
        self.charges = True
        self.waits = True
        """Whether polls that are not ready say that it stands in line, or that it is at work."""
        self.cancelled = (202, "CANCELLATION_REQUESTED")
        self.price: Json = {"unit_price": 0.4, "unit": "seconds", "currency": "USD"}

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        job = "/{owner}/{app}/requests/{id}"
        return [
            ("POST", "/storage/auth/token", "leave", self._leave),
            ("POST", "/files/upload", "upload", self._upload),
            ("GET", "/files/{name}", "result", self._file),
            ("GET", "/v1/models/pricing", "models", self._pricing),
            ("GET", f"{job}/status", "poll", self._status),
            ("GET", job, "response", self._response),
            ("PUT", f"{job}/cancel", "cancel", self._cancel),
            ("POST", "/{endpoint:[^/]+/.+}", "create", self._create),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        if not _knows(request):
            return _says(401, "Authentication is required to access this application.")
        endpoint = request.match_info["endpoint"]
        app = "/".join(endpoint.split("/")[:2])
        if app not in APPS:
            return _says(404, f'Application "{endpoint.split("/")[1]}" not found')
        fields = await request.json()
        if "forbidden" in fields.get("prompt", ""):
            return web.json_response({"detail": [_entry("content_policy_violation", ["body", "prompt"])]}, status=422)
        name = f"764cabcf-b745-4b3e-ae38-{len(self.jobs):012}"
        self.jobs[name] = {"endpoint": endpoint, "fields": fields, "polls": self.polls}
        place = f"{self.origin}/{app}/requests/{name}"
        urls = {"response_url": place, "status_url": f"{place}/status", "cancel_url": f"{place}/cancel"}
        return web.json_response({"status": "IN_QUEUE", "request_id": name, "queue_position": 0, **urls})

    async def _status(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return _says(404, "Request not found")
        if self.end == "never" or job["polls"] > 0:
            job["polls"] -= 1
            waiting = {"status": "IN_QUEUE", "queue_position": max(job["polls"], 0)}
            return web.json_response(waiting if self.waits else {"status": "IN_PROGRESS", "logs": None}, status=202)
        told: Json = {"status": "COMPLETED", "logs": None, "metrics": {"inference_time": 3.7}}
        if self.end == "timeout":
            told |= {"error": "Request timed out", "error_type": "request_timeout"}
        return web.json_response(told)

    async def _response(self, request: web.Request) -> web.Response:
        job = self.jobs[request.match_info["id"]]
        if job["endpoint"] not in ENDPOINTS:
            path = job["endpoint"].split("/", 2)[2]
            return web.json_response({"detail": f"Path /{path} not found"}, status=404)
        if wrong := _wrong(job["endpoint"], job["fields"]):
            return web.json_response({"detail": wrong}, status=422)
        if self.end in _ENDS:
            status, body, headers = _ENDS[self.end]
            return web.json_response(body, status=status, headers=headers)
        return web.json_response(self._made(job), headers={"x-fal-billable-units": "8.0"} if self.charges else {})

    def _made(self, job: Json) -> Json:
        place = f"{self.media or self.origin}/files"
        if _is_image(job["endpoint"]):
            made = {"url": f"{place}/made.png", "width": 72, "height": 128, "content_type": "image/png"}
            nsfw = {"has_nsfw_concepts": [self.end == "black"]} if "flux" in job["endpoint"] else {}
            return {"images": [made], "seed": 7, "prompt": job["fields"]["prompt"], **nsfw}
        made = {"url": f"{place}/made.mp4", "content_type": "video/mp4", "file_name": "made.mp4", "file_size": 1}
        return {"video": made}

    async def _cancel(self, request: web.Request) -> web.Response:
        if request.match_info["id"] not in self.jobs:
            return web.json_response({"status": "NOT_FOUND"}, status=404)
        status, word = self.cancelled
        return web.json_response({"status": word}, status=status)

    async def _file(self, request: web.Request) -> web.Response:
        if request.match_info["name"] in self.uploads:
            return web.Response(body=self.uploads[request.match_info["name"]])
        is_film = request.path.endswith(".mp4")
        kind = "video/mp4" if is_film else "image/png"
        return web.Response(body=self.film if is_film else self.picture, content_type=kind)

    async def _leave(self, request: web.Request) -> web.Response:
        if not _knows(request):
            return _says(401, "Invalid key")
        assert request.query["storage_type"] == "fal-cdn-v3"
        leave = {"token": "leave-to-upload", "token_type": "Bearer", "base_url": self.origin}
        return web.json_response({**leave, "expires_at": "2099-01-01T00:00:00+00:00"})

    async def _upload(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer leave-to-upload":
            return _says(401, "Invalid token")
        name = f"{len(self.uploads)}-{request.headers['X-Fal-File-Name']}"
        self.uploads[name] = await request.read()
        return web.json_response({"access_url": f"{self.origin}/files/{name}"})

    async def _pricing(self, request: web.Request) -> web.Response:
        if not _knows(request):
            return web.json_response({"error": {"type": "authorization_error", "message": "Invalid key"}}, status=401)
        asked = request.query["endpoint_id"]
        if asked not in ENDPOINTS:
            body = {"error": {"type": "not_found", "message": f"Endpoint id '{asked}' not found"}}
            return web.json_response(body, status=404)
        prices = [{"endpoint_id": asked, **self.price}]
        return web.json_response({"prices": prices, "next_cursor": None, "has_more": False})


def _entry(kind: str, loc: list[str], said: str = "The content was flagged by a content checker.") -> Json:
    return {"loc": loc, "msg": said, "type": kind, "url": f"https://docs.fal.ai/errors#{kind}", "input": "it"}


_TIMEOUT = {"detail": "Request timed out", "error_type": "request_timeout"}
_FREE = {"x-fal-billable-units": "0"}
_ENDS: dict[str, tuple[int, Json, dict[str, str]]] = {
    "failed": (500, {"detail": [_entry("internal_server_error", ["body"], "No luck")]}, {}),
    "rejected": (422, {"detail": [_entry("content_policy_violation", ["body", "prompt"])]}, _FREE),
    "policy": (422, {"detail": [_entry("value_error", ["body"]), _entry("content_policy_violation", ["body"])]}, {}),
    "empty": (422, {"detail": [_entry("no_media_generated", ["body"], "The model returned no output")]}, {}),
    "unsafe": (422, {"detail": [_entry("no_media_generated", ["body"], "Could not generate: unsafe content")]}, {}),
    "picture": (422, {"detail": [_entry("image_load_error", ["body", "image_url"], "Failed to load the image")]}, {}),
    "timeout": (504, _TIMEOUT, {"X-Fal-Error-Type": "request_timeout"}),
}  # fmt: skip


def _wrong(endpoint: str, fields: Json) -> list[Json]:
    """An entry for each field the runner does not take."""
    takes = {"prompt!": str, **ENDPOINTS[endpoint]}
    plain = {name.removesuffix("!"): taken for name, taken in takes.items()}
    missing = [name[:-1] for name in takes if name.endswith("!") and name[:-1] not in fields]
    bad = [name for name, value in fields.items() if name not in plain or not _fits(value, plain[name])]
    return [
        *(_entry("missing", ["body", name], "Field required") for name in missing),
        *(_entry("literal_error", ["body", name], f"Unexpected value {fields[name]!r}") for name in bad),
    ]


def _fits(value: Any, taken: Any) -> bool:
    if isinstance(taken, list):
        return any(value == each and type(value) is type(each) for each in taken)
    if taken == "links":
        return isinstance(value, list) and 1 <= len(value) <= 3 and all(_fits(each, "link") for each in value)
    if taken == "link":
        return isinstance(value, str) and (value.startswith("http") or _is_data(value))
    if taken == "size":
        return set(value) == {"width", "height"} and all(512 <= side <= 2048 for side in value.values())
    return type(value) is taken


def _is_data(value: str) -> bool:
    head, _, body = value.partition(";base64,")
    return head in ("data:image/png", "data:image/jpeg", "data:image/webp") and bool(
        base64.b64decode(body, validate=True)
    )


def _is_image(endpoint: str) -> bool:
    return not any(word in endpoint for word in ("veo", "pixverse"))


def _knows(request: web.Request) -> bool:
    return request.headers.get("Authorization") == f"Key {KEY}"


def _says(status: int, detail: str) -> web.Response:
    return web.Response(text=json.dumps({"detail": detail}), status=status, content_type="application/json")
