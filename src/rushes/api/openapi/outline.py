"""The document as a reader goes through it: chapters of endpoints, tables of fields. For the page and for the file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

_SCHEMAS = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a table: a parameter, a field of a body, a key of an answer."""

    name: str
    where: str
    """``path``, ``query``, ``header`` or ``body``."""
    type: str
    """In words; a named shape by its name."""
    shape: str | None
    """The shape it is or holds, when that has a name."""
    required: bool
    description: str
    rules: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back under one status."""

    status: str
    description: str
    type: str
    shape: str | None
    headers: tuple[str, ...]
    examples: Mapping[str, str]
    """Text by title; one alone has none."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation, whole."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    with_key: bool
    asked: tuple[Field, ...]
    answers: tuple[Answer, ...]
    errors: tuple[Answer, ...]
    samples: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Chapter:
    """The endpoints of one tag."""

    name: str
    description: str
    endpoints: tuple[Endpoint, ...]

    @property
    def anchor(self) -> str:
        """What a link to it ends with."""
        return self.name.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Shape:
    """A named shape: an object's keys, or what it is instead."""

    name: str
    description: str
    fields: tuple[Field, ...]
    one_of: tuple[str, ...]
    values: tuple[str, ...]


def chapters(document: Json) -> tuple[Chapter, ...]:
    """The endpoints by tag, in the document's order."""
    found = [
        (operation["tags"][0], _endpoint(document, method, path, operation))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return tuple(
        Chapter(tag["name"], tag["description"], tuple(endpoint for name, endpoint in found if name == tag["name"]))
        for tag in document["tags"]
    )


def shapes(document: Json) -> tuple[Shape, ...]:
    """Every named shape, in the document's order."""
    return tuple(_shape(name, schema) for name, schema in document["components"]["schemas"].items())


def _endpoint(document: Json, method: str, path: str, operation: Json) -> Endpoint:
    told = {status: _resolved(document, answer) for status, answer in operation["responses"].items()}
    answers = [_answer(document, status, answer) for status, answer in told.items()]
    return Endpoint(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        with_key=operation.get("security") != [],
        asked=tuple(sorted((*_parameters(operation), *_body(document, operation)), key=_place)),
        answers=tuple(answer for answer in answers if answer.status < "400"),
        errors=tuple(answer for answer in answers if answer.status >= "400"),
        samples={sample["label"]: sample["source"] for sample in operation["x-codeSamples"]},
    )


def _resolved(document: Json, told: Json) -> Json:
    for part in told["$ref"].split("/")[1:] if "$ref" in told else ():
        told = document[part] if told.get("$ref") else told[part]
    return told


def _place(field: Field) -> int:
    """What everybody sends comes first."""
    return ("path", "query", "body", "header").index(field.where)


def _parameters(operation: Json) -> Iterator[Field]:
    for told in operation.get("parameters", []):
        yield _field(
            told["name"], told["in"], {**told["schema"], "description": told["description"]}, "required" in told
        )


def _body(document: Json, operation: Json) -> Iterator[Field]:
    content: Json = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        yield from _fields(_with_choices(document, _resolved(document, content["application/json"]["schema"])))
    elif content:
        types = ", ".join(f"`{media_type}`" for media_type in content)
        yield Field(
            "the body", "body", "bytes", None, True, operation["requestBody"]["description"], f"One of {types}."
        )


def _with_choices(document: Json, schema: Json) -> Json:
    """The same, with the values of a named choice beside its name: a reader should not have to look them up."""
    named = document["components"]["schemas"]
    properties = {
        name: {**told, "enum": named[_name(told)].get("enum", ())} if _name(told) else told
        for name, told in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _fields(schema: Json) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, told in schema.get("properties", {}).items():
        yield _field(name, "body", told, name in required)
        yield from _inner(name, told)


def _inner(name: str, told: Json) -> Iterator[Field]:
    """The keys of an object in an object, as ``data.jobId``."""
    item = told.get("items", told)
    inside = f"{name}[]" if "items" in told else name
    for field in _fields(item) if isinstance(item, dict) else ():
        yield Field(
            f"{inside}.{field.name}", "body", field.type, field.shape, field.required, field.description, field.rules
        )


def _field(name: str, where: str, schema: Json, required: bool) -> Field:
    shape = _name(schema)
    return Field(name, where, _type(schema), shape, required, schema.get("description", ""), _rules(schema))


def _name(schema: Json) -> str | None:
    for told in (schema, schema.get("items", {}), *schema.get("anyOf", ())):
        if "$ref" in told:
            return str(told["$ref"]).removeprefix(_SCHEMAS)
    return None


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_SCHEMAS)
    if "anyOf" in schema:
        return " or ".join(_type(told) for told in schema["anyOf"])
    named = schema.get("type", "anything")
    if schema.get("format") == "binary":
        return "bytes"
    if "items" in schema:
        return f"array of {_type(schema['items'])}" + (" or null" if isinstance(named, list) else "")
    return " or ".join(named) if isinstance(named, list) else str(named)


def _rules(schema: Json) -> str:
    told = [
        _between(schema, "minLength", "maxLength", "characters"),
        _between(schema, "minItems", "maxItems", "items"),
        _between(schema, "minimum", "maximum", ""),
        f"Always `{json.dumps(schema['const'])}`" if "const" in schema else "",
        _one_of(schema),
        f"Default: `{schema['default']}`" if "default" in schema else "",
    ]
    return " ".join(f"{rule}." for rule in told if rule)


def _between(schema: Json, least: str, most: str, unit: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if high is None:
        return ""
    bounds = (
        f"At most {high:,}" if not low else f"{low} to {high}" if high < 10_000 and not unit else f"{low} to {high:,}"
    )
    return f"{bounds} {unit}".strip()


def _one_of(schema: Json) -> str:
    return ", ".join(f"`{value}`" for value in schema.get("enum", ()) if value is not None)


def _answer(document: Json, status: str, told: Json) -> Answer:
    carried = tuple(name for name in told.get("headers", {}) if not name.startswith(("Rushes", "Access")))
    content: Json = told.get("content", {})
    media: Json = next(iter(content.values()), {})
    schema = media.get("schema", {})
    kind = _type(schema) if "application/json" in content else ", ".join(f"`{each}`" for each in content)
    return Answer(status, told["description"], kind, _name(schema), carried, _examples(media))


def _examples(media: Json) -> Mapping[str, str]:
    if "example" in media:
        return {"": _shown(media["example"])}
    return {told["summary"]: _shown(told["value"]) for told in media.get("examples", {}).values()}


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _shape(name: str, schema: Json) -> Shape:
    one_of = tuple(str(told["$ref"]).removeprefix(_SCHEMAS) for told in schema.get("anyOf", ()))
    return Shape(name, schema.get("description", ""), tuple(_fields(schema)), one_of, tuple(schema.get("enum", ())))
