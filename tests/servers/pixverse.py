"""PixVerse's platform API v2, as its pages and third parties' clients of 2025-2026 have it."""

from __future__ import annotations

from typing import Any, ClassVar

from aiohttp import web

from tests.servers.fake import KEY, Fake, Handler, Json

MODEL = "v5.5"
_STATUS = {"done": 1, "deleted": 6, "rejected": 7, "failed": 8, "never": 5, "new": 11}
_NEEDS = {
    "text": {"model", "prompt", "duration", "quality", "aspect_ratio"},
    "img": {"model", "prompt", "duration", "quality", "img_id"},
    "extend": {"model", "prompt", "duration", "quality"},
    "fusion": {"model", "prompt", "duration", "quality", "aspect_ratio", "image_references"},
}


class PixVerseServer(Fake):
    """``credits``: what a create says it took, if it says so.

    A create that comes again under the same trace gets the first one's answer; so does anything else.
    """

    base_path: ClassVar[str] = "/openapi/v2"

    def __init__(self, film: bytes, picture: bytes) -> None:
        super().__init__(film, picture)
        self.answers: dict[str, Json] = {}
        """By trace."""
        self.uploads: dict[int, bytes] = {}
        self.credits: int | None = None
        self.balance = 1000

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        base = self.base_path
        return [
            ("POST", f"{base}/image/upload", "upload", self._traced(self._image)),
            ("POST", f"{base}/media/upload", "upload", self._traced(self._media)),
            ("POST", f"{base}/video/{{way}}/generate", "create", self._traced(self._create)),
            ("GET", f"{base}/video/result/{{id}}", "poll", self._traced(self._poll)),
            ("GET", f"{base}/account/balance", "models", self._traced(self._balance)),
            ("GET", "/media/{id}.mp4", "result", self._film),
        ]

    def _traced(self, handler: Any) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            trace = request.headers.get("Ai-trace-id", "")
            if request.headers.get("API-KEY") != KEY or not trace:
                return web.json_response(_error(10005, "api key or trace id is wrong"))
            if trace not in self.answers:
                said = await handler(request)
                if said["ErrCode"] != 0:  # what was refused is not remembered
                    return web.json_response(said)
                self.answers[trace] = said
            return web.json_response(self.answers[trace])

        return answer

    async def _image(self, request: web.Request) -> Json:
        sent = (await request.post()).get("image")
        if not isinstance(sent, web.FileField) or sent.filename.rpartition(".")[2] not in (
            "png",
            "jpg",
            "jpeg",
            "webp",
        ):
            return _error(500032, "Invalid image format")
        name = self._keep(sent)
        return _success({"img_id": name, "img_url": f"{self.origin}/image/{name}"})

    async def _media(self, request: web.Request) -> Json:
        sent = (await request.post()).get("file")
        if not isinstance(sent, web.FileField) or sent.filename.rpartition(".")[2] not in ("mp4", "mov", "webm"):
            return _error(500041, "upload failed")
        name = self._keep(sent)
        return _success({"media_id": name, "media_type": "video", "url": f"{self.origin}/media/{name}"})

    def _keep(self, sent: web.FileField) -> int:
        name = 7_000_000_000_000_000_001 + len(self.uploads)  # beyond what a double can hold
        self.uploads[name] = sent.file.read()
        return name

    async def _create(self, request: web.Request) -> Json:
        way, asked = request.match_info["way"], await request.json()
        if refused := self._refusal(way, asked):
            return refused
        name = 380_000_000_000_000_001 + len(self.jobs)
        self.jobs[str(name)] = {**asked, "polls": self.polls}
        return _success({"video_id": name} | ({} if self.credits is None else {"credits": self.credits}))

    def _refusal(self, way: str, asked: Json) -> Json | None:
        if not _NEEDS[way] <= asked.keys() or asked["model"] != MODEL:
            return _error(400017, "Invalid parameter")
        if not isinstance(asked["duration"], int) or asked["duration"] not in (5, 8, 10):
            return _error(400013, "Invalid binding request: incorrect parameter type or value")
        if "forbidden" in asked["prompt"]:
            return _error(500063, "The prompt is not compliant, please re-enter")
        if way == "extend" and ("source_video_id" in asked) == ("video_media_id" in asked):
            return _error(400017, "Invalid parameter: exactly one source")
        references = asked.get("image_references", [])
        if any(f"@{each['ref_name']} " not in asked["prompt"] for each in references) or len(references) > 3:
            return _error(400017, "Invalid parameter: every ref_name must stand in the prompt before a space")
        names = [asked[name] for name in ("img_id", "video_media_id") if name in asked]
        if not {*names, *(each["img_id"] for each in references)} <= self.uploads.keys():
            return _error(400032, "Invalid image ID")
        return None

    async def _poll(self, request: web.Request) -> Json:
        name = request.match_info["id"]
        job = self.jobs.get(name)
        if job is None:
            return _error(500008, "Requested data not found")
        if job["polls"] > 0:
            job["polls"] -= 1
            return self._told(name, 5)
        return self._told(name, _STATUS[self.end])

    def _told(self, name: str, status: int) -> Json:
        url = f"{self.media or self.origin}/media/{name}.mp4" if status == 1 else ""
        return _success(
            {"id": int(name), "status": status, "url": url, "outputWidth": 720, "outputHeight": 1280, "seed": 1,
             "size": len(self.film), "prompt": self.jobs[name]["prompt"], "create_time": "2026-11-22T00:00:00Z"}
        )  # fmt: skip

    async def _film(self, request: web.Request) -> web.Response:
        return web.Response(body=self.film, content_type="video/mp4")

    async def _balance(self, request: web.Request) -> Json:
        return _success({"account_id": 1, "credit_monthly": self.balance, "credit_package": 0})


def _success(resp: Json) -> Json:
    return {"ErrCode": 0, "ErrMsg": "success", "Resp": resp}


def _error(code: int, message: str) -> Json:
    return {"ErrCode": code, "ErrMsg": message, "Resp": None}
