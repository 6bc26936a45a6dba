"""``/aistudio/videos``: the library, and what enters it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qs

from pydantic import AfterValidator, BaseModel, Field, StrictStr, ValidationInfo, field_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rushes import __version__, wire
from rushes.api import auth
from rushes.api.answers import answer, unchanged
from rushes.api.bodies import Text, Url, length, one_of, parse, wrong
from rushes.catalogue import DEFAULT_VIDEO_MODEL, VideoModel
from rushes.model import Account, VideoRequest
from rushes.paging import PAGE_SIZE, Cursor, SortKey
from rushes.store import videos
from rushes.studio import Studio

_INPUTS = ("firstFrameImageUrl", "extendVideoUrl", "referenceImageUrls")
_KEPT_PAGES = 128
_ONE_TOKEN = re.compile(rb"(?:nextPageKey=([A-Za-z0-9_-]*))")


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """``GET``: a page of the library.

    Bare ASGI, because this is the hottest path there is: stored texts, joined. Clients that poll ask for the first
    page again and again; :class:`FirstPages` knows when its answer cannot have changed.
    """
    studio: Studio = scope["state"]["studio"]
    if scope["query_string"]:
        await _send(send, await _answer(studio, scope, None))
        return
    first_pages: FirstPages = scope["state"]["first_pages"]
    asked = (scope["client"] and scope["client"][0], *scope["headers"])
    same = first_pages.answered(studio.store.version())
    if asked not in same:
        same[asked] = await _answer(studio, scope, first_pages)
    await _send(send, same[asked])


class Answer(NamedTuple):
    """What goes out: 200 with a body, or 304 without."""

    etag: bytes
    body: bytes | None


async def _answer(studio: Studio, scope: Scope, first_pages: FirstPages | None) -> Answer:
    headers = dict(scope["headers"])
    account = await auth.account(studio, headers)
    origin = auth.origin(studio.config, scope, headers)
    token = _token(scope["query_string"])
    after = _cursor(studio, account).parse(token) if token else None
    etag = _etag(account, scope["query_string"], origin)
    if unchanged(headers.get(b"if-none-match"), etag):
        return Answer(etag, None)
    body = first_pages.get(etag) if first_pages else None
    if body is None:
        body = await _read(studio, account, after, origin)
        if first_pages:
            first_pages.keep(etag, body)
    return Answer(etag, body)


async def _read(studio: Studio, account: Account, after: SortKey | None, origin: str) -> bytes:
    found = await videos.page(studio.store, account.id, after, PAGE_SIZE)
    return wire.page(found.items, found.last and _cursor(studio, account).token(found.last), origin)


class FirstPages:
    """The newest first pages sent: by what was asked while the database is as it was, else by ``ETag``, which holds
    the account's revision. Neither can ever give an answer that a commit has made old.
    """

    def __init__(self) -> None:
        self._pages: OrderedDict[bytes, bytes] = OrderedDict()
        self._version: int | None = None
        self._answered: dict[Hashable, Answer] = {}

    def answered(self, version: int | None) -> dict[Hashable, Answer]:
        """The answers since the database was at this version, by request; to be added to."""
        if version is None or version != self._version or len(self._answered) >= _KEPT_PAGES:
            self._version, self._answered = version, {}
        return self._answered

    def get(self, etag: bytes) -> bytes | None:
        """The page that was sent under this tag."""
        return self._pages.get(etag)

    def keep(self, etag: bytes, page: bytes) -> None:
        """Remember a page instead of the oldest."""
        self._pages[etag] = page
        if len(self._pages) > _KEPT_PAGES:
            self._pages.popitem(last=False)


def _etag(account: Account, query: bytes, origin: str) -> bytes:
    # All that an answer depends on, in one short text: no page need be read to know that it has not changed.
    source = f"{__version__}\n{account.id}\n{account.revision}\n{origin}\n".encode() + query
    return b'"' + blake2b(source, digest_size=12).hexdigest().encode() + b'"'


def _token(query: bytes) -> str:
    # A token needs no quoting, so nearly every query is this one parameter as it is.
    if plain := _ONE_TOKEN.fullmatch(query):
        return plain[1].decode()
    # A parameter that is sent twice counts as sent last.
    return parse_qs(query.decode("latin-1")).get("nextPageKey", [""])[-1]


@lru_cache(maxsize=1024)
def _cursor_of(secret: bytes, account_id: str) -> Cursor:
    return Cursor(secret, account_id, "videos")


def _cursor(studio: Studio, account: Account) -> Cursor:
    return _cursor_of(studio.secret, account.id)


async def _send(send: Send, answer: Answer) -> None:
    headers = [(b"etag", answer.etag), (b"cache-control", b"private, no-cache")]
    status, body = (304, b"") if answer.body is None else (200, answer.body)
    if status == 200:
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class VideoBody(BaseModel):
    """What ``POST`` takes. ``model`` stands first: ratios and durations are its."""

    model: StrictStr = Field(default=DEFAULT_VIDEO_MODEL, validate_default=True)
    prompt: Annotated[Text, AfterValidator(length(5, 5000)), Field(strict=True)]
    aspectRatio: StrictStr | None = None  # noqa: N815  (the contract's names)
    duration: StrictStr | None = None
    firstFrameImageUrl: Url | None = None  # noqa: N815
    extendVideoUrl: Url | None = None  # noqa: N815
    referenceImageUrls: Annotated[list[Url], Field(min_length=1, max_length=3, strict=True)] | None = None  # noqa: N815
    webhook: Url | None = None

    @field_validator("model")
    @classmethod
    def _model(cls, value: str, info: ValidationInfo) -> str:
        models: dict[str, VideoModel] = _context(info)["models"]
        if value not in models:
            raise wrong(
                f'must be one of {", ".join(models)}; for another, its server needs [models."name"] in rushes.toml'
            )
        return value

    @field_validator("aspectRatio")
    @classmethod
    def _aspect_ratio(cls, value: str, info: ValidationInfo) -> str:
        model = _asked_model(info)
        return one_of(value, model.aspect_ratios) if model else value

    @field_validator("duration")
    @classmethod
    def _duration(cls, value: str, info: ValidationInfo) -> str:
        model = _asked_model(info)
        return one_of(value, [f"{seconds}s" for seconds in model.durations]) if model else value

    @field_validator(*_INPUTS)
    @classmethod
    def _alone(cls, value: Any, info: ValidationInfo) -> Any:
        given = [name for name in _INPUTS if name in _context(info)["sent"]]
        if len(given) > 1:
            raise wrong(f"only one of {', '.join(given)} can be given")
        return value

    def request(self, model: VideoModel) -> VideoRequest:
        """The request with the model's defaults filled in."""
        return VideoRequest(
            prompt=self.prompt,
            model=model.name,
            aspect_ratio=self.aspectRatio or model.aspect_ratios[0],
            seconds=int(self.duration.removesuffix("s")) if self.duration else model.durations[0],
            first_frame_image_url=self.firstFrameImageUrl,
            extend_video_url=self.extendVideoUrl,
            reference_image_urls=tuple(self.referenceImageUrls or ()),
            webhook=self.webhook,
        )


def _context(info: ValidationInfo) -> dict[str, Any]:
    context: dict[str, Any] = info.context or {}
    return context


def _asked_model(info: ValidationInfo) -> VideoModel | None:
    """The model, when that field was right: a wrong one has no ratios to compare with."""
    models: dict[str, VideoModel] = _context(info)["models"]
    return models.get(info.data.get("model", ""))


async def submit(request: Request) -> Response:
    """``POST``: queue a video."""
    studio: Studio = request.state.studio
    headers = dict(request.scope["headers"])
    account = await auth.account(studio, headers)
    models = studio.config.video_models
    body = await parse(request, VideoBody, {"models": models})
    origin = auth.called(studio.config, request.scope, headers)
    job = await studio.submit_video(account.id, body.request(models[body.model]), origin)
    return answer(wire.submitted(job.id))
