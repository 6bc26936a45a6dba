"""``POST /aistudio/videos``: what enters the library."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StrictStr, ValidationInfo, field_validator
from starlette.requests import Request
from starlette.responses import Response

from rushes import wire
from rushes.api.bodies import Url, context, one_of, wrong
from rushes.api.queue import ItemBody, queue
from rushes.catalogue import DEFAULT_VIDEO_MODEL, VideoModel
from rushes.errors import InvalidBody
from rushes.model import VideoRequest

_INPUTS = wire.VIDEO_INPUTS


class VideoBody(ItemBody[VideoModel]):
    """What ``POST`` takes."""

    model: StrictStr = Field(default=DEFAULT_VIDEO_MODEL, validate_default=True, description="The model that makes it.")
    duration: StrictStr | None = Field(None, description="Its length. Without it: the model's first.")
    firstFrameImageUrl: Url | None = Field(None, description="An image to open with.")  # noqa: N815
    extendVideoUrl: Url | None = Field(None, description="A video to continue: the answer is the new part.")  # noqa: N815
    referenceImageUrls: Annotated[list[Url], Field(min_length=1, max_length=3, strict=True)] | None = Field(  # noqa: N815
        None, description="Images to refer to. Their order matters: a prompt can name the first image, the second."
    )
    webhook: Url | None = Field(None, description="Where the job's end is POSTed to.")

    @field_validator("duration")
    @classmethod
    def _duration(cls, value: str, info: ValidationInfo) -> str:
        model = cls.asked_model(info)
        durations = model.durations if model else sorted(cls.of_any(info, lambda model: model.durations))
        return one_of(value, [f"{seconds}s" for seconds in durations])

    @field_validator(*_INPUTS)
    @classmethod
    def _alone(cls, value: Any, info: ValidationInfo) -> Any:
        given = [name for name in _INPUTS if name in context(info)["sent"]]
        if len(given) > 1:
            raise wrong(f"only one of {', '.join(given)} can be given")
        return value

    @field_validator(*_INPUTS)
    @classmethod
    def _taken(cls, value: Any, info: ValidationInfo) -> Any:
        model, name = cls.asked_model(info), info.field_name or ""
        if model and _INPUTS[name] not in model.inputs:
            raise wrong(f"is not taken by {model.name} on this server; leave it away or choose another model")
        if model and name == "referenceImageUrls" and len(value) > model.most_references:
            raise wrong(f"can be at most {model.most_references} for {model.name} on this server")
        return value

    def request(self, model: VideoModel) -> VideoRequest:
        """The request with the model's defaults filled in.

        Raises:
            InvalidBody: the model makes nothing from words alone.
        """
        if model.needs_input and not any(getattr(self, name) for name in _INPUTS):
            takes = [name for name, taken in _INPUTS.items() if taken in model.inputs]
            complaint = f"is required by {model.name} on this server: it makes nothing from words alone"
            raise InvalidBody(f"A field of the body is missing: {takes[0]}.", {takes[0]: complaint})
        return VideoRequest(
            prompt=self.prompt,
            model=model.name,
            aspect_ratio=self.aspectRatio or model.aspect_ratios[0],
            seconds=int(self.duration.removesuffix("s")) if self.duration else model.durations[0],
            first_frame_image_url=self.firstFrameImageUrl,
            extend_video_url=self.extendVideoUrl,
            reference_image_urls=tuple(self.referenceImageUrls or ()),
            webhook=self.webhook,
        )


async def submit(request: Request) -> Response:
    """``POST``: queue a video."""
    return await queue(request, VideoBody, request.state.studio.routes.offers.videos)
