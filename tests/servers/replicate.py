"""``api.replicate.com/v1`` as replicate 1.0.7 and Replicate's documentation tell of it. Results are on the same host,
or on ``media``.
"""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from aiohttp import web

from tests.servers.fake import KEY, Fake, Handler, Json

VEO = {
    "aspect_ratio": ["16:9", "9:16"], "duration": [4, 6, 8], "resolution": ["720p", "1080p"], "image": "link",
    "last_frame": "link", "generate_audio": [True, False], "negative_prompt": str, "seed": int,
}  # fmt: skip
BANANA = {
    "aspect_ratio": ["match_input_image", "1:1", "16:9", "9:16"], "output_format": ["jpg", "png"],
    "image_input": "links",
}  # fmt: skip
MODELS: dict[str, Json] = {
    "google/veo-3.1": {**VEO, "reference_images": "links"},
    "google/veo-3.1-fast": VEO,
    "pixverse/pixverse-v5": {
        "aspect_ratio": ["16:9", "9:16", "1:1"], "duration": [5, 8], "quality": ["360p", "540p", "720p", "1080p"],
        "image": "link", "last_frame_image": "link", "negative_prompt": str, "seed": int,
    },
    "bytedance/seedream-3": {
        "aspect_ratio": ["1:1", "16:9", "9:16", "custom"], "size": ["small", "regular", "big"], "seed": int,
        "width": "side", "height": "side", "guidance_scale": float,
    },
    "black-forest-labs/flux-schnell": {
        "aspect_ratio": ["1:1", "16:9", "9:16"], "num_outputs": int, "output_format": ["webp", "jpg", "png"],
        "num_inference_steps": int, "seed": int,
    },
    "google/nano-banana": BANANA,
    "google/nano-banana-pro": {**BANANA, "resolution": ["1K", "2K", "4K"]},
}  # fmt: skip
"""What each takes beside ``prompt``."""
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
SENSITIVE = "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (uIJ6l3ruRD)"


class ReplicateServer(Fake):
    """``end`` may also be ``canceled``, ``aborted``, ``removed`` (an hour later), ``empty``. ``lists``: whether an
    output is a list.
    """

    base_path: ClassVar[str] = "/v1"

    def __init__(self, film: bytes, picture: bytes) -> None:
        super().__init__(film, picture)
        self.files: dict[str, bytes] = {}
        self.lists = False
        self.error = "No luck (E6716)"

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        return [
            ("POST", "/v1/models/{owner}/{name}/predictions", "create", self._create),
            ("POST", "/v1/predictions", "create", self._create),
            ("GET", "/v1/predictions/{id}", "poll", self._poll),
            ("POST", "/v1/predictions/{id}/cancel", "cancel", self._cancel),
            ("GET", "/v1/models/{owner}/{name}", "models", self._model),
            ("POST", "/v1/files", "upload", self._upload),
            ("GET", "/delivered/{name}", "result", self._file),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        if not _knows(request):
            return _problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        told = await request.json()
        model = "/".join(request.match_info.values())
        if not model and told.get("version") != VERSION:
            return _problem(422, "Invalid version or not permitted", "The specified version does not exist")
        model = model or "black-forest-labs/flux-schnell"
        if model not in MODELS:
            return _problem(404, "Not found", "The requested resource could not be found.")
        if wrong := [name for name, value in told["input"].items() if not self._fits(model, name, value)]:
            said = f"- input.{wrong[0]}: {told['input'][wrong[0]]!r} is not one of the allowed values\n"
            return _problem(422, "Input validation failed", said)
        name = f"gm3qorzdhgbfurvjtvhg6dcke{len(self.jobs)}"
        self.jobs[name] = self._prediction(name, model, told["input"])
        if "forbidden" in told["input"]["prompt"]:
            self.jobs[name] |= {"status": "failed", "error": SENSITIVE}
        return web.json_response(_shown(self.jobs[name]), status=201)

    def _prediction(self, name: str, model: str, sent: Json) -> Json:
        place = f"{self.base_url}/predictions/{name}"
        return {
            "id": name, "model": model, "version": "hidden", "input": sent, "output": None, "logs": "", "error": None,
            "status": "starting", "created_at": "2026-11-22T10:00:00.000Z", "data_removed": False, "metrics": {},
            "started_at": None, "completed_at": None, "urls": {"get": place, "cancel": f"{place}/cancel"},
            "polls": self.polls,
        }  # fmt: skip

    async def _poll(self, request: web.Request) -> web.Response:
        if not _knows(request):
            return _problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return _problem(404, "Not found", "The requested resource could not be found.")
        if self.end == "never" or job["polls"] > 0:
            job["polls"] -= 1
            job["status"] = "processing" if job["polls"] % 2 else "starting"
        else:
            job |= self._ended(job)
        return web.json_response(_shown(job))

    def _ended(self, job: Json) -> Json:
        is_film = any(word in job["model"] for word in ("veo", "pixverse"))
        link = f"{self.media or self.origin}/delivered/{'made.mp4' if is_film else 'made.png'}"
        ends: dict[str, Json] = {
            "done": {"status": "succeeded", "output": [link] if self.lists else link},
            "removed": {"status": "succeeded", "output": None, "input": {}, "data_removed": True},
            "empty": {"status": "succeeded", "output": []},
            "failed": {"status": "failed", "error": self.error},
            "rejected": {"status": "failed", "error": SENSITIVE},
            "canceled": {"status": "canceled"},
            "aborted": {"status": "aborted"},
        }
        return ends[self.end]

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return _problem(404, "Not found", "The requested resource could not be found.")
        job["status"] = self.end if self.end in ("canceled", "aborted") else "canceled"
        return web.json_response(_shown(job))

    async def _model(self, request: web.Request) -> web.Response:
        if not _knows(request):
            return _problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        owner, name = request.match_info["owner"], request.match_info["name"]
        if f"{owner}/{name}" not in MODELS:
            return _problem(404, "Not found", "The requested resource could not be found.")
        return web.json_response({"owner": owner, "name": name, "url": f"https://replicate.com/{owner}/{name}"})

    async def _upload(self, request: web.Request) -> web.Response:
        if not _knows(request):
            return _problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        part = (await request.post())["content"]
        assert isinstance(part, web.FileField)
        name = f"file{len(self.files)}"
        self.files[name] = part.file.read()
        told = {
            "id": name, "name": part.filename, "content_type": part.content_type, "size": len(self.files[name]),
            "etag": "e", "checksums": {"sha256": "0"}, "metadata": {}, "created_at": "2026-11-22T10:00:00.000Z",
            "expires_at": "2026-11-23T10:00:00.000Z", "urls": {"get": f"{self.base_url}/files/{name}"},
        }  # fmt: skip
        return web.json_response(told, status=201)

    async def _file(self, request: web.Request) -> web.Response:
        is_film = request.path.endswith(".mp4")
        kind = "video/mp4" if is_film else "image/png"
        return web.Response(body=self.film if is_film else self.picture, content_type=kind)

    def _fits(self, model: str, name: str, value: Any) -> bool:
        taken = {"prompt": str, **MODELS[model]}.get(name)
        if isinstance(taken, list):
            return any(value == each and type(value) is type(each) for each in taken)
        if taken == "links":
            return isinstance(value, list) and 1 <= len(value) <= 3 and all(self._is_link(each) for each in value)
        if taken == "link":
            return self._is_link(value)
        if taken == "side":
            return type(value) is int and 512 <= value <= 2048
        return type(value) is taken

    def _is_link(self, value: Any) -> bool:
        head, _, body = str(value).partition(";base64,")
        if head in ("data:image/png", "data:image/jpeg", "data:image/webp"):
            return bool(base64.b64decode(body, validate=True))
        return str(value).startswith("http")


def _shown(job: Json) -> Json:
    return {name: value for name, value in job.items() if name != "polls"}


def _knows(request: web.Request) -> bool:
    return request.headers.get("Authorization") == f"Bearer {KEY}"


def _problem(status: int, title: str, detail: str) -> web.Response:
    body = {"title": title, "detail": detail, "status": status}
    return web.json_response(body, status=status, content_type="application/problem+json")
