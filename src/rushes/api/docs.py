"""``/docs``: the API as a page to read. No script, nothing from elsewhere: it works wherever the server does."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from rushes.api.openapi import Kept
from rushes.api.openapi.operation import V1
from rushes.api.openapi.outline import Answer, Chapter, Endpoint, Field, Shape, chapters, shapes

_STYLE = Path(__file__).with_suffix(".css").read_text()
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_LONG_EXAMPLE = 12

HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}
"""The page may load nothing, run nothing, send nothing, and be framed by nobody."""


def page(document: dict[str, Any]) -> str:
    """The whole page."""
    told, named = chapters(document), shapes(document)
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The API of Rushes</title>',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f'<style>{_STYLE}</style></head><body><div class="page">',
            f"<header>{_start(document)}</header>",
            *_contents(told),
            "<main>",
            *(_chapter(chapter) for chapter in told),
            *_shapes(named),
            "</main></div></body></html>",
        )
    )


_kept = Kept(page, escape)


async def show(request: Request) -> Response:
    """``GET /docs``: the document as a page, with links to where it was asked for."""
    return HTMLResponse(_kept.text(request), headers=HEADERS)


def _contents(told: Iterable[Chapter]) -> Iterator[str]:
    yield '<nav aria-label="Contents">'
    for chapter in told:
        yield f'<div><b><a href="#{chapter.anchor}">{escape(chapter.name)}</a></b>'
        yield from (f'<a href="#{endpoint.id}">{escape(endpoint.summary)}</a>' for endpoint in chapter.endpoints)
        yield "</div>"
    yield '<div><b><a href="#shapes">Shapes</a></b></div></nav>'


def _start(document: dict[str, Any]) -> str:
    info, [server] = document["info"], document["servers"]
    return "".join(
        (
            f"<h1>The API of Rushes <small>{escape(info['version'])}</small></h1>",
            f'<p class="lead">{escape(info["summary"])}</p>',
            _prose(info["description"]),
            f"<p>The base URL is <code>{escape(server['url'])}{V1}</code>. Programs find all of this in ",
            '<a href="/openapi.json">openapi.json</a>. The samples take the key from the environment variable ',
            "<code>KEY</code>.</p>",
        )
    )


def _prose(text: str) -> str:
    """Paragraphs and lists, as the document's descriptions are written."""
    return "".join(_block(block) for block in text.strip().split("\n\n"))


def _block(text: str) -> str:
    if not text.startswith("- "):
        return f"<p>{_inline(text)}</p>"
    return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in text.split("\n")) + "</ul>"


def _inline(text: str) -> str:
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked)


def _chapter(told: Chapter) -> str:
    head = f'<section><h2 id="{told.anchor}">{escape(told.name)}</h2><p>{_inline(told.description)}</p>'
    return head + "".join(_endpoint(endpoint) for endpoint in told.endpoints) + "</section>"


def _endpoint(told: Endpoint) -> str:
    key = "" if told.with_key else '<span class="nokey">no key</span>'
    return "".join(
        (
            f'<article id="{told.id}"><h3>{escape(told.summary)}</h3>',
            f'<p class="call"><b class="{told.method}">{told.method}</b>{escape(told.path)}{key}</p>',
            _prose(told.description),
            _samples(told),
            f"<h4>Request</h4>{_fields(told.asked, 'required')}" if told.asked else "",
            "<h4>Answer</h4>",
            *(_answer(answer) for answer in told.answers),
            _errors(told.errors),
            "</article>",
        )
    )


def _samples(told: Endpoint) -> str:
    parts = [_sample(told.id, number, label, source) for number, (label, source) in enumerate(told.samples.items())]
    return f'<div class="samples">{"".join(parts)}</div>'


def _sample(endpoint: str, number: int, label: str, source: str) -> str:
    name, checked = f"{endpoint}-{number}", " checked" if number == 0 else ""
    choice = f'<input type="radio" name="{endpoint}-sample" id="{name}"{checked}><label for="{name}">{label}</label>'
    return f"{choice}<pre>{escape(source)}</pre>"


def _fields(told: Iterable[Field], marked: str) -> str:
    return f"<dl>{''.join(_field(field, marked) for field in told)}</dl>"


def _field(told: Field, marked: str) -> str:
    mark = f" · <em>{marked}</em>" if told.required == (marked == "required") else ""
    where = "" if told.where == "body" else f" · {told.where}"
    head = f"<dt><code>{escape(told.name)}</code><span>{_type(told)}{where}{mark}</span></dt>"
    return f"<div>{head}<dd>{_inline(f'{told.description} {told.rules}'.strip())}</dd></div>"


def _type(told: Field | Answer) -> str:
    text = _inline(told.type)
    return text.replace(told.shape, f'<a href="#{told.shape}">{told.shape}</a>') if told.shape else text


def _answer(told: Answer) -> str:
    kind = f" {_type(told)}." if told.type else ""
    carries = f" With {', '.join(f'<code>{name}</code>' for name in told.headers)}." if told.headers else ""
    said = f"<p><code>{told.status}</code> {_inline(told.description)}{kind}{carries}</p>"
    return said + "".join(_example(title, text) for title, text in told.examples.items())


def _example(title: str, text: str) -> str:
    is_open = "" if title or text.count("\n") > _LONG_EXAMPLE else " open"
    named = f"Example: {escape(title)}" if title else "Example"
    return f"<details{is_open}><summary>{named}</summary><pre>{escape(text)}</pre></details>"


def _errors(told: Iterable[Answer]) -> str:
    lines = "".join(_error(answer) for answer in told)
    return f"<details><summary>Errors</summary><dl>{lines}</dl></details>"


def _error(told: Answer) -> str:
    bodies = "".join(f"<pre>{escape(text)}</pre>" for text in told.examples.values())
    shown = f"<details><summary>Body</summary>{bodies}</details>"
    head = f"<dt><code>{told.status}</code><span>{_type(told)}</span></dt>"
    return f"<div>{head}<dd>{_inline(told.description)}{shown}</dd></div>"


def _shapes(told: Iterable[Shape]) -> Iterator[str]:
    yield '<section><h2 id="shapes">Shapes</h2>'
    yield "<p>What requests and answers are made of. A key is always there unless it is said to be optional.</p>"
    yield from (_shape(shape) for shape in told)
    yield "</section>"


def _shape(told: Shape) -> str:
    links = ", ".join(f'<a href="#{name}">{name}</a>' for name in told.one_of)
    values = ", ".join(f"<code>{escape(value)}</code>" for value in told.values)
    return "".join(
        (
            f'<article id="{told.name}"><h3>{told.name}</h3>{_prose(told.description) if told.description else ""}',
            _fields(told.fields, "optional") if told.fields else "",
            f"<p>One of: {links or values}.</p>" if links or values else "",
            "</article>",
        )
    )
