"""``/aistudio/videos`` and ``/aistudio/images``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rushes import errors, wire
from rushes.api.openapi import examples, parameters
from rushes.api.openapi.operation import (
    BODY,
    COPIED,
    QUERY,
    V1,
    WITH_KEY,
    Operation,
    Paths,
    given_once,
    job_links,
    json_body,
    link,
    ok,
    ok_or_unchanged,
    operation,
)
from rushes.api.openapi.responses import given
from rushes.api.openapi.schemas import Schema
from rushes.catalogue import DEFAULT_IMAGE_MODEL, DEFAULT_VIDEO_MODEL, STYLES, ImageModel, Offers, VideoModel
from rushes.model import Kind


def library(offers: Offers) -> Paths:
    """The two libraries, with the models of this server."""
    return {**_videos(offers), **_images(offers)}


def _videos(offers: Offers) -> Paths:
    models = offers.videos
    return {
        f"{V1}/aistudio/videos": {
            "get": _list(Kind.VIDEO, parameters.filters(Kind.VIDEO, models.values())),
            "post": _make(Kind.VIDEO, _video_asked(models), map(_video_model, models.values())),
        },
        f"{V1}/aistudio/videos/{{item_id}}": {"get": _get(Kind.VIDEO), "delete": _delete(Kind.VIDEO)},
    }


def _images(offers: Offers) -> Paths:
    models = offers.images
    return {
        f"{V1}/aistudio/images": {
            "get": _list(Kind.IMAGE, parameters.filters(Kind.IMAGE, models.values())),
            "post": _make(Kind.IMAGE, _image_asked(models), map(_image_model, models.values())),
        },
        f"{V1}/aistudio/images/{{item_id}}": {"get": _get(Kind.IMAGE), "delete": _delete(Kind.IMAGE)},
    }


def _video_asked(models: Mapping[str, VideoModel]) -> Mapping[str, Any]:
    """A request that this server takes."""
    told = [{"model": model.name, "duration": f"{model.durations[0]}s"} for model in models.values()]
    return {"prompt": examples.PROMPT, **(told[0] if told else {"model": DEFAULT_VIDEO_MODEL})}


def _image_asked(models: Mapping[str, ImageModel]) -> Mapping[str, Any]:
    told = [{"model": model.name, "aspectRatio": model.aspect_ratios[0]} for model in models.values()]
    return {"prompt": examples.PROMPT, **(told[0] if told else {"model": DEFAULT_IMAGE_MODEL}), "style": STYLES[0]}


def _video_model(model: VideoModel) -> str:
    lengths = ", ".join(f"{seconds}s" for seconds in model.durations)
    price = wire.number(model.credits_per_second)
    return f"- `{model.name}`: {', '.join(model.aspect_ratios)}; {lengths}; {price} credits a second."


def _image_model(model: ImageModel) -> str:
    refers = "takes a reference" if model.takes_reference else "takes no reference"
    return f"- `{model.name}`: {', '.join(model.aspect_ratios)}; {wire.number(model.credits)} credits; {refers}."


_PLACES = {
    Kind.VIDEO: "Prompts are kept as they were sent, and every link is permanent.",
    Kind.IMAGE: "It is the library of videos over again, for images.",
}


def _list(kind: Kind, filters: list[parameters.Parameter]) -> Operation:
    told = (
        f"The library: every finished {kind}, newest first, at most 100 at a time. {_PLACES[kind]} To read all of it, "
        "follow `nextPageKey` until it is no longer there: every item comes exactly once, whatever enters or goes "
        "meanwhile. Filters may be combined; a token belongs to the filters it was given out with."
    )
    shape = f"{kind.capitalize()}Page"
    answer = given("A page.", shape, examples.page(kind), *COPIED, links=_page_links(kind))
    answered = ok_or_unchanged(answer, (*QUERY, *WITH_KEY))
    asked = [*parameters.paging(), parameters.limit(), *filters, parameters.if_none_match()]
    return operation(f"list_{kind}s", f"{kind.capitalize()}s", f"List {kind}s", told, answered, parameters=asked)


def _page_links(kind: Kind) -> Schema:
    first = {"item_id": "$response.body#/items/0/id"}
    made_from = {"continues": "$response.body#/items/0/id"}
    return {
        "next_page": link(f"list_{kind}s", "The next page.", nextPageKey="$response.body#/nextPageKey"),
        "first_item": link(f"get_{kind}", "The newest one alone.", **first),
        "made_from_it": link(f"list_{kind}s", "What was made from it.", **made_from),
        "delete_it": link(f"delete_{kind}", "Its end.", **first),
    }


_MADE = {
    Kind.VIDEO: (
        "Queues one video and answers at once with its job. Only the prompt is needed. A video can open with an image, "
        "continue a video, or refer to up to three images: one of these at most. Links of this server's own files are "
        "read from storage; others are fetched while the job runs, so a link that cannot be used fails the job, not "
        "this request. "
    ),
    Kind.IMAGE: (
        "Queues one image and answers at once with its job. Only the prompt is needed. Which models take a reference "
        "image is told by `GET /aistudio/models`. "
    ),
}
_NULL = "`null` means that a field was not sent; fields that are not known are passed over."


def _offered(models: list[str]) -> str:
    if not models:
        return "This server has no model for it, and refuses every request."
    return "\n".join(("What this server's models can be asked for, their defaults first:", "", *models))


def _make(kind: Kind, asked: Mapping[str, Any], models: Iterable[str]) -> Operation:
    accepted = given_once("It was queued.", "Submitted", examples.submitted())
    accepted["links"] = job_links("$response.body#/data/jobId")
    refusals = (*BODY, *WITH_KEY, errors.InsufficientCredits, errors.BudgetExceeded, errors.IdempotencyKeyReused)
    return operation(
        f"make_{kind}",
        f"{kind.capitalize()}s",
        f"Make {'a' if kind is Kind.VIDEO else 'an'} {kind}",
        f"{_MADE[kind]}{_NULL}\n\n{_offered(list(models))}",
        ok(accepted, refusals),
        parameters=[parameters.idempotency_key()],
        requestBody=json_body(f"{kind.capitalize()}Request", asked),
    )


def _get(kind: Kind) -> Operation:
    answer = given(f"The {kind}.", kind.capitalize(), examples.item(kind), *COPIED)
    answered = ok_or_unchanged(answer, (*WITH_KEY, errors.NotFound))
    told = f"One {kind} of the library, as the list shows it."
    asked = [parameters.item_id(kind), parameters.if_none_match()]
    return operation(f"get_{kind}", f"{kind.capitalize()}s", f"Get one {kind}", told, answered, parameters=asked)


def _delete(kind: Kind) -> Operation:
    told = (
        f"Deletes one {kind} and its files, for good. Its job then reads `cleaned`, and the change feed tells of it. "
        "It is the same act as cleaning its job."
    )
    answered = ok(given("It is gone.", "Done", {"success": True}), (*WITH_KEY, errors.NotFound))
    asked = [parameters.item_id(kind)]
    return operation(f"delete_{kind}", f"{kind.capitalize()}s", f"Delete one {kind}", told, answered, parameters=asked)
