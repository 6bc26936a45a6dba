"""Request bodies: read within a limit, parsed, checked; every bad field is told at once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails, PydanticCustomError
from starlette.requests import Request

from rushes.errors import InvalidBody, InvalidQuery, TooLong, TooSlow
from rushes.store.idempotency import Once

LONGEST_BODY = 2**20
LONGEST_URL = 2048
_LONGEST_KEY = 255
# Names and addresses in any spelling: which of them may be called is found out when they are.
_HOST = re.compile(r"[^.%]+(?:\.[^.%]+)*\.?|[0-9a-f:.]*:[0-9a-f:.]*(?:%.*)?", re.IGNORECASE)

M = TypeVar("M", bound=BaseModel)


async def read(request: Request, seconds: float) -> bytes:
    """The body, whole.

    Raises:
        TooLong: it is over 1 MiB; TooSlow: it took longer than ``seconds``.
    """
    if int(request.headers.get("content-length", "0")) > LONGEST_BODY:  # whoever waits for a 100 need not send it
        raise _too_long()
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_BODY:
                    raise _too_long()
    except TimeoutError:
        raise TooSlow(f"The body did not come within {seconds:g} seconds.") from None
    return bytes(body)


def _too_long() -> TooLong:
    return TooLong(f"The body is longer than {LONGEST_BODY} bytes.")


def parse(request: Request, body: bytes, model: type[M], context: Mapping[str, Any]) -> M:
    """A body as a ``model``; ``null`` means not sent, unknown fields are passed over.

    Raises:
        InvalidBody: it is not a JSON object, or fields of it are wrong: all of them are named.
    """
    content = _object(request.headers.get("content-type", ""), body)
    sent = {name: value for name, value in content.items() if value is not None}
    try:
        return model.model_validate(sent, context={**context, "sent": sent})
    except ValidationError as error:
        raise _invalid(error) from error


def once(request: Request, body: bytes) -> Once | None:
    """The request's ``Idempotency-Key``, on its route, with what it is sent with.

    Raises:
        InvalidQuery: the key is too long.
    """
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) > _LONGEST_KEY:
        complaint = f"must be at most {_LONGEST_KEY} characters long"
        raise InvalidQuery(f"The header Idempotency-Key {complaint}.", {"Idempotency-Key": complaint})
    return Once(request.url.path, key, sha256(body).hexdigest()) if key else None


def _object(content_type: str, body: bytes) -> dict[str, Any]:
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidBody("Send the body as JSON, with Content-Type: application/json.")
    try:
        content = json.loads(body.decode("utf-8"), parse_int=_number, parse_constant=_no_constant)
    except RecursionError as error:
        raise InvalidBody("The body is nested too deeply; send a JSON object with fewer levels.") from error
    except ValueError as error:
        raise InvalidBody("The body is not valid JSON in UTF-8; check its quotes, commas and braces.") from error
    if not isinstance(content, dict):
        raise InvalidBody("The body must be a JSON object: { … }.")
    return content


def _number(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # Python makes no number of so many digits; it is one all the same, and no field takes it
        return float(digits)


def _no_constant(name: str) -> None:
    # json takes NaN and Infinity, which no other JSON parser does.
    raise ValueError(name)


def _invalid(error: ValidationError) -> InvalidBody:
    fields: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_input=False):
        name, complaint = str(problem["loc"][0]), _complaint(problem)
        fields[name] = f"{fields[name]}; {complaint}" if name in fields else complaint
    return InvalidBody(f"These fields of the body are wrong: {', '.join(fields)}.", fields)


def _complaint(problem: ErrorDetails) -> str:
    words = _WORDS.get(problem["type"])
    told = words.format(**problem.get("ctx", {})) if words else problem["msg"]
    # Of several links, which one.
    return f"number {int(problem['loc'][1]) + 1} {told}" if len(problem["loc"]) > 1 else told


_WORDS = {
    "missing": "is required",
    "string_type": "must be a string",
    "list_type": "must be an array",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
}
"""What Pydantic says in words of its own."""


def wrong(complaint: str) -> PydanticCustomError:
    """A complaint about a field, as it is told to the client."""
    return PydanticCustomError("wrong", complaint.replace("{", "{{").replace("}", "}}"))


def one_of(value: str, choices: Iterable[str]) -> str:
    """``value``, if it is one of the ``choices``."""
    choices = list(choices)
    if value not in choices:
        raise wrong(f"must be one of {', '.join(choices)}")
    return value


def context(info: ValidationInfo) -> dict[str, Any]:
    """What a field is checked against: the server's models, and what else was sent."""
    told: dict[str, Any] = info.context or {}
    return told


def known_model(value: str, info: ValidationInfo) -> str:
    """``value``, if this server can make it."""
    models: Mapping[str, object] = context(info)["models"]
    if not models:
        raise wrong('cannot be had: this server makes nothing of this kind until its rushes.toml has a [models."name"]')
    if value not in models:
        raise wrong(f'must be one of {", ".join(models)}; for another, its server needs [models."name"] in rushes.toml')
    return value


def length(least: int, most: int) -> Callable[[str], str]:
    """A check that a text has so many characters (code points)."""

    def check(value: str) -> str:
        if not least <= len(value) <= most:
            raise wrong(f"must be {least} to {most:,} characters long; it has {len(value):,}")
        return value

    return check


def shown(least: int, most: int) -> JsonDict:
    """What :data:`Text` of that :func:`length` is, in the document's words."""
    return {"minLength": least, "maxLength": most, "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}


def _text(value: str) -> str:
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise wrong("must not hold a NUL character or half a surrogate pair")
    if not value.strip():
        raise wrong("must not be empty or white space only")
    return value


def _url(value: str) -> str:
    if len(value) > LONGEST_URL:
        raise wrong(f"must be at most {LONGEST_URL} characters")
    if not _is_url(value):
        raise wrong("must be an http or https URL, without a name or a password in it")
    return value


def _is_url(value: str) -> bool:
    if any(character.isspace() or not character.isprintable() for character in value) or "\\" in value:
        return False
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None or port == 0:
        return False
    return parts.scheme in ("http", "https") and _HOST.fullmatch(parts.hostname or "") is not None


Text = Annotated[str, AfterValidator(_text)]
"""Characters that JSON, databases and people all can hold."""

Prompt = Annotated[
    Text,
    AfterValidator(length(5, 5000)),
    Field(strict=True, description="What it shows.", json_schema_extra=shown(5, 5000)),
]
"""What a video or an image is to show."""

Url = Annotated[str, AfterValidator(_url)]
"""A link, checked for its form only: whether it answers is found out in the job."""
