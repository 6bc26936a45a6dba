"""``docs/api.md``: the document as a file to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rushes.api.openapi.outline import Answer, Chapter, Endpoint, Field, Shape, chapters, shapes

_LANGUAGES = {"curl": "sh", "Python": "python", "JavaScript": "js"}
_NOTE = "<!-- Made by `make docs` out of src/rushes/api/openapi; a test holds it to what the server answers. -->"
_SAMPLES = """\
A running server shows the same at `/docs`, with its own models and address, and gives it to programs at
`/openapi.json`. The samples take the key from the environment variable `KEY`; those in Python use `httpx2`, those in
JavaScript run in Node.js 18 or newer as modules."""


def written(document: dict[str, Any]) -> str:
    """The whole file."""
    told = chapters(document)
    about = document["info"]["description"].strip()
    parts = ["# The API", _NOTE, about, _SAMPLES, _contents(told), *_chapters(told), *_shapes(shapes(document))]
    return "\n\n".join(parts) + "\n"


def _contents(told: Iterable[Chapter]) -> str:
    lines = (
        f"- [{chapter.name}](#{chapter.anchor}): "
        + ", ".join(f"[{endpoint.summary}](#{_anchor(endpoint.summary)})" for endpoint in chapter.endpoints)
        for chapter in told
    )
    return "\n".join([*lines, "- [Shapes](#shapes)"])


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def _chapters(told: Iterable[Chapter]) -> Iterator[str]:
    for chapter in told:
        yield f"## {chapter.name}"
        yield chapter.description
        for endpoint in chapter.endpoints:
            yield from _endpoint(endpoint)


def _endpoint(told: Endpoint) -> Iterator[str]:
    yield f"### {told.summary}"
    yield f"`{told.method} {told.path}`" + ("" if told.with_key else " (no key)")
    yield told.description
    if told.asked:
        yield "**Request**"
        yield _table(("name", "in", "type", "what it is"), map(_asked, told.asked))
    yield "**Answer**"
    for answer in told.answers:
        yield from _answer(answer)
    yield "**Errors**"
    yield _table(("status", "when", "body"), map(_error, told.errors))
    for label, source in told.samples.items():
        yield f"**{label}**"
        yield _block(_LANGUAGES[label], source)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _asked(told: Field) -> tuple[str, ...]:
    return f"`{told.name}`" + (" (required)" if told.required else ""), told.where, _type(told), _said(told)


def _type(told: Field | Answer) -> str:
    return told.type.replace(told.shape, f"[{told.shape}](#{told.shape.lower()})") if told.shape else told.type


def _said(told: Field) -> str:
    return f"{told.description} {told.rules}".strip()


def _answer(told: Answer) -> Iterator[str]:
    kind = f" {_type(told)}." if told.type else ""
    carries = f" Headers: {', '.join(f'`{name}`' for name in told.headers)}." if told.headers else ""
    yield f"`{told.status}` {told.description}{kind}{carries}"
    for title, example in told.examples.items():
        yield from ([f"When it is {title}:"] if title else [])
        yield _block("json", example)


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _error(told: Answer) -> tuple[str, ...]:
    return told.status, told.description, f"{_type(told)} {', '.join(f'`{code}`' for code in told.examples)}"


def _shapes(told: Iterable[Shape]) -> Iterator[str]:
    yield "## Shapes"
    yield "What the answers and requests above are made of. A key is always there unless it is said to be optional."
    for shape in told:
        yield f"### {shape.name}"
        yield from _shape(shape)


def _shape(told: Shape) -> Iterator[str]:
    if told.description:
        yield told.description
    if told.fields:
        yield _table(("key", "type", "what it is"), map(_key, told.fields))
    if told.one_of:
        yield "One of: " + ", ".join(f"[{name}](#{name.lower()})" for name in told.one_of) + "."
    if told.values:
        yield "One of: " + ", ".join(f"`{value}`" for value in told.values) + "."


def _key(told: Field) -> tuple[str, ...]:
    return f"`{told.name}`" + ("" if told.required else " (optional)"), _type(told), _said(told)
