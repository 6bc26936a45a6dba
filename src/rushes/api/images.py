"""``POST /aistudio/images``: what enters the library of images."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StrictStr, ValidationInfo, field_validator
from starlette.requests import Request
from starlette.responses import Response

from rushes.api.bodies import Url, one_of, wrong
from rushes.api.queue import ItemBody, queue
from rushes.catalogue import DEFAULT_IMAGE_MODEL, STYLES, ImageModel
from rushes.model import ImageRequest


class ImageBody(ItemBody[ImageModel]):
    """What ``POST`` takes."""

    model: StrictStr = Field(default=DEFAULT_IMAGE_MODEL, validate_default=True, description="The model that makes it.")
    style: Annotated[StrictStr, AfterValidator(lambda style: one_of(style, STYLES))] | None = Field(
        None,
        description="What it looks like. Without it: as the model likes.",
    )
    referenceImageUrl: Url | None = Field(None, description="An image to refer to.")  # noqa: N815
    webhook: Url | None = Field(None, description="Where the job's end is POSTed to.")

    @field_validator("referenceImageUrl")
    @classmethod
    def _taken(cls, value: str, info: ValidationInfo) -> str:
        model = cls.asked_model(info)
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


async def submit(request: Request) -> Response:
    """``POST``: queue an image."""
    return await queue(request, ImageBody, request.state.studio.routes.offers.images)
