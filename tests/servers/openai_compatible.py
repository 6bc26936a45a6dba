"""``/v1/videos`` and ``/v1/images`` as vLLM-Omni 0.30, SGLang 0.5 and LiteLLM 1.109 serve them."""

from __future__ import annotations

import base64
from typing import ClassVar

from aiohttp import web

from tests.servers.fake import KEY, Fake, Handler

MODEL = "Wan-AI/Wan2.2-TI2V-5B"


class OpenAICompatibleServer(Fake):
    """``elsewhere``: an address that finished videos name as their ``url`` (SGLang with cloud storage)."""

    base_path: ClassVar[str] = "/v1"

    def __init__(self, film: bytes, picture: bytes) -> None:
        super().__init__(film, picture)
        self.elsewhere = ""

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        return [
            ("POST", "/v1/videos", "create", self._create),
            ("GET", "/v1/videos/{id}", "poll", self._poll),
            ("DELETE", "/v1/videos/{id}", "cancel", self._delete),
            ("GET", "/v1/videos/{id}/content", "result", self._content),
            ("POST", "/v1/images/generations", "create", self._image),
            ("POST", "/v1/images/edits", "create", self._image),
            ("GET", "/v1/models", "models", self._models),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "invalid_api_key", "Incorrect API key provided")
        form = await request.post()
        if form.get("model") != MODEL:
            return _error(404, "model_not_found", f"The model {form.get('model')!r} does not exist")
        if "forbidden" in str(form.get("prompt")):
            return _error(400, "moderation_blocked", "Your request was blocked by our moderation system")
        if not str(form.get("seconds")).isdigit() or "x" not in str(form.get("size")):
            return web.json_response({"detail": [{"loc": ["body", "seconds"], "msg": "bad"}]}, status=422)
        name = f"video_{len(self.jobs) + 1}"
        self.jobs[name] = {
            "id": name, "object": "video", "status": "queued", "progress": 0, "model": MODEL, "polls": self.polls,
            "prompt": form["prompt"], "seconds": form["seconds"], "size": form["size"], "created_at": 1,
        }  # fmt: skip
        return web.json_response(self.jobs[name])

    async def _poll(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return web.json_response({"detail": "Video not found"}, status=404)
        if self.end == "never" or job["polls"] > 0:
            job["polls"] -= 1
            return web.json_response({**job, "status": "in_progress", "progress": 40})
        if self.end in ("failed", "rejected"):
            code = {"failed": "generation_failed", "rejected": "moderation_blocked"}[self.end]
            return web.json_response({**job, "status": "failed", "error": {"code": code, "message": "No luck"}})
        ended = {**job, "status": "completed", "progress": 100, "completed_at": 2}
        return web.json_response({**ended, "url": self.elsewhere} if self.elsewhere else ended)

    async def _content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.film, content_type="video/mp4")

    async def _delete(self, request: web.Request) -> web.Response:
        self.jobs.pop(request.match_info["id"], None)
        return web.json_response({"id": request.match_info["id"], "deleted": True})

    async def _image(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "invalid_api_key", "Incorrect API key provided")
        asked = await request.post() if request.content_type == "multipart/form-data" else await request.json()
        if asked.get("model") != MODEL:
            return _error(404, "model_not_found", f"The model {asked.get('model')!r} does not exist")
        if "forbidden" in str(asked.get("prompt")):
            return _error(400, "content_policy_violation", "It was not allowed by our safety system")
        return web.json_response({"created": 1, "data": [{"b64_json": base64.b64encode(self.picture).decode()}]})

    async def _models(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "invalid_api_key", "Incorrect API key provided")
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})


def _error(status: int, code: str, message: str) -> web.Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return web.json_response(body, status=status)
