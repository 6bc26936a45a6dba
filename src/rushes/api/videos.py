"""``POST /aistudio/videos``: what enters the library."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, StrictStr, ValidationInfo, field_validator
from pydantic.config import JsonDict
from starlette.requests import Request
from starlette.responses import Response

from rushes.api import auth
from rushes.api.answers import given
from rushes.api.bodies import Text, Url, context, known_model, length, once, one_of, parse, read, wrong
from rushes.catalogue import DEFAULT_VIDEO_MODEL, VideoModel
from rushes.model import VideoRequest
from rushes.studio import Studio

# What the checks below ask for, in the document's words.
_SHOWN: JsonDict = {"minLength": 5, "maxLength": 5000, "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
_INPUTS = ("firstFrameImageUrl", "extendVideoUrl", "referenceImageUrls")


class VideoBody(BaseModel):
    """What ``POST`` takes. ``model`` stands first: ratios and durations are its."""

    model: StrictStr = Field(default=DEFAULT_VIDEO_MODEL, validate_default=True, description="The model that makes it.")
    prompt: Annotated[
        Text,
        AfterValidator(length(5, 5000)),
        Field(strict=True, description="What it shows.", json_schema_extra=_SHOWN),
    ]
    aspectRatio: StrictStr | None = Field(None, description="Its shape. Without it: the model's first.")  # noqa: N815
    duration: StrictStr | None = Field(None, description="Its length. Without it: the model's first.")
    firstFrameImageUrl: Url | None = Field(None, description="An image to open with.")  # noqa: N815
    extendVideoUrl: Url | None = Field(None, description="A video to continue: the answer is the new part.")  # noqa: N815
    referenceImageUrls: Annotated[list[Url], Field(min_length=1, max_length=3, strict=True)] | None = Field(  # noqa: N815
        None, description="Images to refer to. Their order matters: a prompt can name the first image, the second."
    )
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

    @field_validator("duration")
    @classmethod
    def _duration(cls, value: str, info: ValidationInfo) -> str:
        model = _asked_model(info)
        return one_of(value, [f"{seconds}s" for seconds in model.durations]) if model else value

    @field_validator(*_INPUTS)
    @classmethod
    def _alone(cls, value: Any, info: ValidationInfo) -> Any:
        given = [name for name in _INPUTS if name in context(info)["sent"]]
        if len(given) > 1:
            raise wrong(f"only one of {', '.join(given)} can be given")
        return value

    def request(self, model: VideoModel) -> VideoRequest:
        """The request with the model's defaults filled in."""
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


def _asked_model(info: ValidationInfo) -> VideoModel | None:
    """The model, when that field was right: a wrong one has no ratios to compare with."""
    models: dict[str, VideoModel] = context(info)["models"]
    return models.get(info.data.get("model", ""))


async def submit(request: Request) -> Response:
    """``POST``: queue a video."""
    studio: Studio = request.state.studio
    headers = dict(request.scope["headers"])
    account = await auth.account(studio, headers)
    models = studio.config.video_models
    body = await read(request, studio.config.body_seconds)
    asked = parse(request, body, VideoBody, {"models": models})
    origin = auth.called(studio.config, request.scope, headers)
    return given(await studio.submit(account.id, asked.request(models[asked.model]), origin, once(request, body)))
