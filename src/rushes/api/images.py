"""``POST /aistudio/images``: what enters the library of images."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StrictStr, ValidationInfo, field_validator
from pydantic.config import JsonDict
from starlette.requests import Request
from starlette.responses import Response

from rushes.api import auth
from rushes.api.answers import given
from rushes.api.bodies import Text, Url, context, known_model, length, once, one_of, parse, read, wrong
from rushes.catalogue import DEFAULT_IMAGE_MODEL, STYLES, ImageModel
from rushes.model import ImageRequest
from rushes.studio import Studio

# What the checks below ask for, in the document's words.
_SHOWN: JsonDict = {"minLength": 5, "maxLength": 5000, "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}


class ImageBody(BaseModel):
    """What ``POST`` takes. ``model`` stands first: ratios and the reference are its."""

    model: StrictStr = Field(default=DEFAULT_IMAGE_MODEL, validate_default=True, description="The model that makes it.")
    prompt: Annotated[
        Text,
        AfterValidator(length(5, 5000)),
        Field(strict=True, description="What it shows.", json_schema_extra=_SHOWN),
    ]
    aspectRatio: StrictStr | None = Field(None, description="Its shape. Without it: the model's first.")  # noqa: N815
    style: Annotated[StrictStr, AfterValidator(lambda style: one_of(style, STYLES))] | None = Field(
        None,
        description="What it looks like. Without it: as the model likes.",
    )
    referenceImageUrl: Url | None = Field(None, description="An image to refer to.")  # noqa: N815
    webhook: Url | None = Field(None, description="Where the job's end is POSTed to.")

    @field_validator("model")
    @classmethod
    def _model(cls, value: str, info: ValidationInfo) -> str:
        return known_model(value, info)

    @field_validator("aspectRatio")
    @classmethod
    def _aspect_ratio(cls, value: str, info: ValidationInfo) -> str:
        model = _asked_model(info)
        return one_of(value, model.aspect_ratios) if model else value

    @field_validator("referenceImageUrl")
    @classmethod
    def _taken(cls, value: str, info: ValidationInfo) -> str:
        model = _asked_model(info)
        if model and not model.takes_reference:
            raise wrong(f"{model.name} takes no reference image; leave it away or choose another model")
        return value

    def request(self, model: ImageModel) -> ImageRequest:
        """The request with the model's default filled in."""
        return ImageRequest(
            prompt=self.prompt,
            model=model.name,
            aspect_ratio=self.aspectRatio or model.aspect_ratios[0],
            style=self.style,
            reference_image_url=self.referenceImageUrl,
            webhook=self.webhook,
        )


def _asked_model(info: ValidationInfo) -> ImageModel | None:
    """The model, when that field was right: a wrong one has no ratios to compare with."""
    models: dict[str, ImageModel] = context(info)["models"]
    return models.get(info.data.get("model", ""))


async def submit(request: Request) -> Response:
    """``POST``: queue an image."""
    studio: Studio = request.state.studio
    headers = dict(request.scope["headers"])
    account = await auth.account(studio, headers)
    models = studio.config.image_models
    body = await read(request, studio.config.body_seconds)
    asked = parse(request, body, ImageBody, {"models": models})
    origin = auth.called(studio.config, request.scope, headers)
    return given(await studio.submit(account.id, asked.request(models[asked.model]), origin, once(request, body)))
