"""The bodies of requests: their own classes' fields, narrowed to what this server's models take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from pydantic import BaseModel

from rushes.api.bodies import LONGEST_URL
from rushes.api.images import ImageBody
from rushes.api.openapi.schemas import Schema, or_null, or_null_of, ref
from rushes.api.uploads import UploadBody
from rushes.api.videos import VideoBody
from rushes.catalogue import DEFAULT_IMAGE_MODEL, DEFAULT_VIDEO_MODEL, ImageModel, VideoModel

Options = Mapping[str, Sequence[str | None]]
"""What a model takes in the fields that depend on it."""

_PORT = ":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
# What RFC 3986 calls a URI of these schemes, with a host's name. More is taken: other alphabets, addresses in brackets.
_HTTP = rf"^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9._~!$&'()*+,;=%-]+({_PORT})?([/?#][!-\[\]-~]*)?$"
_LINK = {"type": "string", "format": "uri", "maxLength": LONGEST_URL, "pattern": _HTTP}
_LINKS = ("firstFrameImageUrl", "extendVideoUrl", "referenceImageUrl", "webhook")
_INPUTS = ("firstFrameImageUrl", "extendVideoUrl", "referenceImageUrls")


def shapes(videos: Mapping[str, VideoModel], images: Mapping[str, ImageModel]) -> dict[str, Schema]:
    """The bodies as this server's models allow them, and the choices in them, by name."""
    return {**_video(videos), **_image(images), "UploadRequest": _of(UploadBody)}


def _video(models: Mapping[str, VideoModel]) -> dict[str, Schema]:
    told = {name: _video_options(model) for name, model in models.items()}
    body = {**_of_models(VideoBody, "Video", told, DEFAULT_VIDEO_MODEL), "not": {"anyOf": _two_inputs()}}
    return {"VideoRequest": body, **_choices("Video", told)}


def _image(models: Mapping[str, ImageModel]) -> dict[str, Schema]:
    told = {name: _image_options(model) for name, model in models.items()}
    body = _of_models(ImageBody, "Image", told, DEFAULT_IMAGE_MODEL)
    return {"ImageRequest": body, **_choices("Image", told)}


def _video_options(model: VideoModel) -> Options:
    return {"aspectRatio": model.aspect_ratios, "duration": [f"{seconds}s" for seconds in model.durations]}


def _image_options(model: ImageModel) -> Options:
    return {"aspectRatio": model.aspect_ratios, **({} if model.takes_reference else {"referenceImageUrl": [None]})}


def _choices(kind: str, told: Mapping[str, Options]) -> dict[str, Schema]:
    fields: dict[str, Sequence[str | None]] = {"Model": list(told), "AspectRatio": _union(told.values(), "aspectRatio")}
    if kind == "Video":
        fields["Duration"] = _union(told.values(), "duration")
    return {f"{kind}{field}": _choice(values) for field, values in fields.items()}


def _choice(values: Sequence[str | None]) -> Schema:
    return {"type": "string", **({"enum": list(values)} if values else {})}


def _two_inputs() -> list[Schema]:
    given: Schema = {"not": {"type": "null"}}
    return [{"required": list(two), "properties": dict.fromkeys(two, given)} for two in combinations(_INPUTS, 2)]


def _of(body: type[BaseModel]) -> Schema:
    """The fields as their class has them; what is not required may be ``null``, which means not sent."""
    told = body.model_json_schema()
    required = list(told["required"])
    fields = {name: _field(name, schema) for name, schema in told["properties"].items()}
    properties = {name: fields[name] if name in required else or_null(fields[name]) for name in fields}
    return {"type": "object", "required": required, "properties": properties}


def _field(name: str, schema: Schema) -> Schema:
    told = {key: value for key, value in schema.items() if key not in ("title", "anyOf", "default")}
    told = {**schema.get("anyOf", [{}])[0], **told}
    if name in _LINKS:
        return {**told, **_LINK}
    return {**told, "items": _LINK} if told["type"] == "array" else told


def _of_models(body: type[BaseModel], kind: str, told: Mapping[str, Options], default: str) -> Schema:
    schema = _of(body)
    properties: Schema = schema["properties"]
    for field in {"model", "aspectRatio", "duration", "style"} & properties.keys():
        shape = f"{kind}{field[0].upper()}{field[1:]}"
        properties[field] = or_null_of(shape, properties[field]["description"])
    if default in told:
        properties["model"]["default"] = default
    else:  # none is assumed: one must be named
        properties["model"] = {**ref(f"{kind}Model"), "description": properties["model"]["description"]}
        schema["required"].insert(0, "model")
    return {**schema, **_rules(told, default)}


def _union(told: Iterable[Options], field: str) -> list[str | None]:
    return list(dict.fromkeys(value for options in told for value in options.get(field, ())))


def _rules(told: Mapping[str, Options], default: str) -> Schema:
    """What a model takes that does not take all that others do: one condition after another."""
    groups: dict[str, list[str]] = {}
    for name, options in told.items():
        if any(None in values or list(values) != _union(told.values(), field) for field, values in options.items()):
            groups.setdefault(repr(options), []).append(name)
    rules: Schema = {}
    for names in reversed(groups.values()):
        rules = {"if": _named(names, default), "then": _narrowed(told[names[0]]), **({"else": rules} if rules else {})}
    return rules


def _named(names: list[str], default: str) -> Schema:
    if default in names:
        return {"properties": {"model": {"enum": [*names, None]}}}
    return {"required": ["model"], "properties": {"model": {"enum": names}}}


def _narrowed(options: Options) -> Schema:
    return {"properties": {name: {"enum": list(dict.fromkeys((*values, None)))} for name, values in options.items()}}
