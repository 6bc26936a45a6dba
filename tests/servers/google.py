"""Google's APIs as google-genai 3 speaks to them: Veo on Vertex, with tokens and storage; Gemini's images; Omni."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from tests.servers.fake import KEY, Fake, Handler, Json

PROJECT, LOCATION = "a-project", "us-central1"
VEO, IMAGE, OMNI = "veo-3.1-generate-001", "gemini-2.5-flash-image", "gemini-omni-1.1-flash"
TOKEN = f"ya29.{KEY}"
_AUDIENCE = "https://oauth2.googleapis.com/token"
"""Of an assertion, wherever it is sent."""
POLITE = "I'm sorry, but I can't draw that. Shall I draw a fox instead?"
_MODERATED = (
    "The prompt could not be submitted. This prompt contains words that violate Vertex AI's usage guidelines. "
    "Support codes: 58061214"
)


@cache
def _keys() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private.decode(), key.public_key().public_bytes(pem, public).decode()


class VeoServer(Fake):
    """Vertex, the token endpoint and Cloud Storage, all on one host.

    ``end`` has also ``refused`` (an operation that ends with moderation's error) and ``empty``. ``lifetime`` is how
    many seconds a token is good for.
    """

    lifetime = 3600

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        models = "/v1beta1/projects/{project}/locations/{location}/publishers/google/models/{model}"
        return [
            ("POST", "/token", "token", self._token),
            ("POST", f"{models}:predictLongRunning", "create", self._create),
            ("POST", f"{models}:fetchPredictOperation", "poll", self._poll),
            ("GET", "/v1beta1/publishers/google/models/{model}", "models", self._model),
            ("GET", "/storage/v1/b/{bucket}/o/{name}", "result", self._object),
        ]

    def account(self, key: str = KEY) -> str:
        """A service account's key: of one who is let in, when it bears the vendor's."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": PROJECT,
                "private_key_id": "1",
                "private_key": _keys()[0],
                "client_email": f"{key}@{PROJECT}.iam.gserviceaccount.com",
                "token_uri": f"{self.origin}/token",
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assertion = str(form["assertion"])
        claims = jwt.decode(assertion, certs=_keys()[1], audience=_AUDIENCE)  # type: ignore[no-untyped-call]
        if claims["iss"].partition("@")[0] != KEY or "cloud-platform" not in claims["scope"]:
            return web.json_response({"error": "invalid_grant", "error_description": "not found"}, status=400)
        return web.json_response({"access_token": TOKEN, "expires_in": self.lifetime, "token_type": "Bearer"})

    def _stranger(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Bearer {TOKEN}":
            return None
        return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")

    async def _create(self, request: web.Request) -> web.Response:
        if stranger := self._stranger(request):
            return stranger
        asked, model = await request.json(), request.match_info["model"]
        if model != VEO:
            return _error(404, "NOT_FOUND", f"Publisher Model `{model}` was not found.")
        if refused := _veo_refusal(asked):
            return refused
        where = f"projects/{PROJECT}/locations/{request.match_info['location']}/publishers/google/models/{model}"
        name = f"{where}/operations/{len(self.jobs) + 1}"
        self.jobs[name] = {**asked, "polls": self.polls}
        return web.json_response({"name": name})

    async def _poll(self, request: web.Request) -> web.Response:
        if stranger := self._stranger(request):
            return stranger
        name = (await request.json())["operationName"]
        if name not in self.jobs or not request.path.startswith(f"/v1beta1/{name.partition('/operations/')[0]}:"):
            return _error(404, "NOT_FOUND", "The operation was not found.")
        job = self.jobs[name]
        if self.end == "never" or job["polls"] > 0:
            job["polls"] -= 1
            return web.json_response({"name": name})
        return web.json_response({"name": name, "done": True, **self._ended(job)})

    def _ended(self, job: Json) -> Json:
        kind = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"
        if self.end == "failed":
            return {"error": {"code": 13, "message": "Internal error. Please try again."}}
        if self.end == "refused":
            return {"error": {"code": 3, "message": _MODERATED}}
        if self.end == "rejected":
            reasons = [
                "Veo could not generate videos because the input image violates guidelines. Support codes: 15236754"
            ]
            return {"response": {"@type": kind, "raiMediaFilteredCount": 1, "raiMediaFilteredReasons": reasons}}
        if self.end == "empty":
            return {"response": {"@type": kind, "videos": []}}
        inline = {"bytesBase64Encoded": base64.b64encode(self.film).decode()}
        stored = job["parameters"].get("storageUri")
        where = {"gcsUri": f"{stored}1234/sample_0.mp4"} if stored else inline
        return {"response": {"@type": kind, "raiMediaFilteredCount": 0, "videos": [{**where, "mimeType": "video/mp4"}]}}

    async def _model(self, request: web.Request) -> web.Response:
        if stranger := self._stranger(request):
            return stranger
        if request.match_info["model"] != VEO:
            return _error(404, "NOT_FOUND", "Publisher Model was not found.")
        return web.json_response({"name": f"publishers/google/models/{VEO}", "versionId": "001", "launchStage": "GA"})

    async def _object(self, request: web.Request) -> web.Response:
        if stranger := self._stranger(request):
            return stranger
        if request.query.get("alt") != "media":
            return web.json_response({"kind": "storage#object", "name": request.match_info["name"]})
        return web.Response(body=self.film, content_type="video/mp4")


def _veo_refusal(asked: Json) -> web.Response | None:
    (instance,), told = asked["instances"], asked["parameters"]
    if told.get("sampleCount") not in (1, 2, 3, 4) or told.get("aspectRatio") not in ("16:9", "9:16"):
        return _error(400, "INVALID_ARGUMENT", "sampleCount or aspectRatio is not supported.")
    if told.get("durationSeconds") not in ((7,) if "video" in instance else (4, 6, 8)):
        return _error(400, "INVALID_ARGUMENT", "Unsupported output video duration.")
    if sum(name in instance for name in ("image", "video", "referenceImages")) > 1:
        return _error(400, "INVALID_ARGUMENT", "Only one kind of input is supported.")
    if "forbidden" in instance["prompt"]:
        return _error(400, "INVALID_ARGUMENT", _MODERATED)
    return None


class GeminiImageServer(Fake):
    """``end``: ``done``, ``drafts`` (with thoughts around it), ``drawn`` (the drawing is refused), ``words`` (it says
    no), ``nothing``.
    """

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        return [
            ("POST", "/v1/models/{model}:generateContent", "create", self._create),
            ("GET", "/v1/models/{model}", "models", _keyed(self._model)),
        ]

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await _keyed(self._drawn)(request)

    async def _drawn(self, request: web.Request) -> web.Response:
        if request.match_info["model"] != IMAGE:
            return _error(404, "NOT_FOUND", "models/… is no longer available.")
        asked = await request.json()
        if asked["generationConfig"].get("responseModalities") != ["IMAGE"]:
            return _error(400, "INVALID_ARGUMENT", "this is a test of images")
        if "forbidden" in asked["contents"][0]["parts"][0]["text"]:
            return web.json_response({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}})
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 1290}
        return web.json_response({"candidates": [self._candidate()], "usageMetadata": usage, "modelVersion": IMAGE})

    def _candidate(self) -> Json:
        picture = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(self.picture).decode()}}
        draft = {"inlineData": {"mimeType": "image/png", "data": "bm90IHRoaXM="}}
        drawn: dict[str, Json] = {
            "done": {"content": {"role": "model", "parts": [{"text": "Here it is."}, picture]}, "finishReason": "STOP"},
            "drafts": {
                "content": {"parts": [{**draft, "thought": True}, draft, picture, {**draft, "thought": True}]},
                "finishReason": "STOP",
            },
            "drawn": {"content": {}, "finishReason": "IMAGE_SAFETY", "finishMessage": "Unable to show the image."},
            "words": {"content": {"role": "model", "parts": [{"text": POLITE}]}, "finishReason": "STOP"},
            "nothing": {"finishReason": "NO_IMAGE"},
        }
        return {"index": 0, **drawn[self.end]}

    async def _model(self, request: web.Request) -> web.Response:
        return _described(request, IMAGE)


class OmniServer(Fake):
    """``inline``: a finished video stands in the answer, not behind an address. ``end`` has also ``words`` (it says no
    in a finished interaction), ``cancelled`` and ``new`` (a state nobody knows).
    """

    inline = False

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        return [
            ("POST", "/v1/interactions", "create", _keyed(self._create)),
            ("GET", "/v1/interactions/{id}", "poll", _keyed(self._poll)),
            ("POST", "/v1/interactions/{id}/cancel", "cancel", _keyed(self._cancel)),
            ("GET", "/v1/files/{id}:download", "result", _keyed(self._file)),
            ("GET", "/v1/models/{model}", "models", _keyed(self._model)),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked["model"] != OMNI:
            return _error(404, "NOT_FOUND", f"models/{asked['model']} is no longer available.")
        (turn,), told = asked["input"], asked["response_format"]
        if told["type"] != "video" or not told["duration"].endswith("s") or turn["type"] != "user_input":
            return _error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
        if "forbidden" in turn["content"][0]["text"]:
            return _error(400, "INVALID_ARGUMENT", "The prompt was blocked by our safety filters.")
        name = f"v1_{len(self.jobs) + 1}"
        self.jobs[name] = {"id": name, "object": "interaction", "model": OMNI, "polls": self.polls}
        return web.json_response({"id": name, "object": "interaction", "model": OMNI, "status": "queued"})

    async def _poll(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return _error(404, "NOT_FOUND", "The interaction was not found.")
        if self.end == "never" or job["polls"] > 0:
            job["polls"] -= 1
            return web.json_response({**job, "status": "in_progress"})
        return web.json_response({**job, **self._ended(job["id"])})

    def _ended(self, name: str) -> Json:
        if self.end in ("failed", "rejected"):
            code = {"failed": "internal", "rejected": "content_policy_violation"}[self.end]
            return {"status": "failed", "steps": [], "errors": [{"code": code, "message": "No luck."}]}
        if self.end in ("cancelled", "new"):
            return {"status": {"cancelled": "cancelled", "new": "resting"}[self.end]}
        data = {"data": base64.b64encode(self.film).decode()}
        video = {"type": "video", "mime_type": "video/mp4", **(data if self.inline else self._link(name))}
        content = [{"type": "text", "text": POLITE}] if self.end == "words" else [video]
        steps = [{"type": "thought", "signature": ""}, {"type": "model_output", "content": content}]
        return {"status": "completed", "steps": steps}

    def _link(self, name: str) -> Json:
        return {"uri": f"{self.origin}/v1/files/{name}:download?alt=media"}

    async def _cancel(self, request: web.Request) -> web.Response:
        self.end = "cancelled"
        return web.json_response({"id": request.match_info["id"], "status": "cancelled"})

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(body=self.film, content_type="video/mp4")

    async def _model(self, request: web.Request) -> web.Response:
        return _described(request, OMNI)


def _keyed(handler: Handler) -> Handler:
    """Google says 400 to a key it does not know."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("x-goog-api-key") == KEY:
            return await handler(request)
        reason: list[Any] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
        return _error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", reason)

    return answer


def _described(request: web.Request, model: str) -> web.Response:
    if request.match_info["model"] != model:
        return _error(404, "NOT_FOUND", "The model was not found.")
    return web.json_response({"name": f"models/{model}", "displayName": model})


def _error(code: int, status: str, message: str, details: list[Any] | None = None) -> web.Response:
    error: Json = {"code": code, "message": message, "status": status, **({"details": details} if details else {})}
    return web.json_response({"error": error}, status=code)
