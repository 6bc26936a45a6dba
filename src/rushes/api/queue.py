"""What asks for an item, and its way into the queue: the same for every kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from pydantic import BaseModel, Field, StrictStr, ValidationInfo, field_validator
from starlette.requests import Request
from starlette.responses import Response

from rushes.api import auth
from rushes.api.answers import given
from rushes.api.bodies import Prompt, context, known_model, once, one_of, parse, read
from rushes.catalogue import ImageModel, VideoModel
from rushes.model import Request as Asked
from rushes.studio import Studio

M = TypeVar("M", VideoModel, ImageModel)
T = TypeVar("T")


class ItemBody(BaseModel, Generic[M]):
    """What ``POST`` takes for an item of any kind. ``model`` stands first: the rest is checked against it."""

    model: StrictStr = Field(description="The model that makes it.")
    prompt: Prompt
    aspectRatio: StrictStr | None = Field(None, description="Its shape. Without it: the model's first.")  # noqa: N815

    @field_validator("model")
    @classmethod
    def _model(cls, value: str, info: ValidationInfo) -> str:
        return known_model(value, info)

    @field_validator("aspectRatio")
    @classmethod
    def _aspect_ratio(cls, value: str, info: ValidationInfo) -> str:
        asked = cls.asked_model(info)
        return one_of(value, asked.aspect_ratios if asked else cls.of_any(info, lambda model: model.aspect_ratios))

    @classmethod
    def asked_model(cls, info: ValidationInfo) -> M | None:
        """The model, when that field was right: a wrong one has nothing to compare with."""
        models: Mapping[str, M] = context(info)["models"]
        return models.get(info.data.get("model", ""))

    @classmethod
    def of_any(cls, info: ValidationInfo, choices: Callable[[M], Iterable[T]]) -> list[T]:
        """What any model takes, each once: a value that none does is wrong whichever was meant."""
        models: Mapping[str, M] = context(info)["models"]
        return list(dict.fromkeys(choice for model in models.values() for choice in choices(model)))

    @abstractmethod
    def request(self, model: M) -> Asked:
        """The request with the model's defaults filled in."""


async def queue(request: Request, body_class: type[ItemBody[M]], models: Mapping[str, M]) -> Response:
    """``POST``: queue an item."""
    studio: Studio = request.state.studio
    headers = dict(request.scope["headers"])
    account = await auth.account(studio, headers)
    body = await read(request, studio.config.body_seconds)
    asked = parse(request, body, body_class, {"models": models})
    origin = auth.called(studio.config, request.scope, headers)
    return given(await studio.submit(account.id, asked.request(models[asked.model]), origin, once(request, body)))
