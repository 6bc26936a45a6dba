"""What a server can make, what that costs, and which shape of a model's is nearest to a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rushes.catalogue import ImageModel, VideoModel
    from rushes.client import Model
    from rushes.client.synchronous import Client

VENDOR = "pictory"
"""Who makes it where the server is no Rushes."""


def offers(client: Client) -> Sequence[Model]:
    """Every model of the server; of the vendor's, what its reference says.

    Raises:
        RushesError: the server is away, or does not know the key.
    """
    return client.models() if client.is_rushes() else _vendors()


def _vendors() -> Sequence[Model]:
    from rushes import wire
    from rushes.catalogue import IMAGE_MODELS, VIDEO_MODELS
    from rushes.client import items

    models: tuple[VideoModel | ImageModel, ...] = (*VIDEO_MODELS.values(), *IMAGE_MODELS.values())
    return [items.model(wire.model(model, VENDOR)) for model in models]


def chosen(models: Iterable[Model], kind: str, name: str | None) -> Model | None:
    """The model of that name, or the default of the kind; ``None``: the server does not tell of it."""
    from rushes.catalogue import DEFAULT_IMAGE_MODEL, DEFAULT_VIDEO_MODEL

    wanted = name or (DEFAULT_IMAGE_MODEL if kind == "image" else DEFAULT_VIDEO_MODEL)
    return next((model for model in models if model.name == wanted and model.kind == kind), None)


def price(model: Model, duration: str | None) -> float:
    """About what one costs, in AI credits."""
    if not model.durations:
        return model.credits
    seconds = float((duration or model.durations[0]).removesuffix("s"))
    return round(model.credits * seconds, 6)


def complete_model(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """The contract's models, for a shell; of images where those are asked for."""
    from rushes.catalogue import IMAGE_MODELS, VIDEO_MODELS

    models = IMAGE_MODELS if context.params.get("images") else VIDEO_MODELS
    return [name for name in models if name.startswith(begun)]


def complete_ratio(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """The contract's ratios, for a shell."""
    from rushes.catalogue import IMAGE_MODELS, VIDEO_MODELS

    models = IMAGE_MODELS if context.params.get("images") else VIDEO_MODELS
    ratios = dict.fromkeys(ratio for model in models.values() for ratio in model.aspect_ratios)
    return [ratio for ratio in ratios if ratio.startswith(begun)]
