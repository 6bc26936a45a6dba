"""The models a request may name: their ratios, durations, pixels, inputs and price in credits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class Input(StrEnum):
    """What a request may bring along, as ``rushes.toml`` spells it."""

    FIRST_FRAME = "first_frame"
    EXTEND_VIDEO = "extend_video"
    REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class VideoModel:
    """What one model can be asked for. The first ratio and the first duration are its defaults."""

    name: str
    sizes: Mapping[str, tuple[int, int]]
    """Pixels (width, height) by aspect ratio, default first."""
    durations: tuple[int, ...]
    """Seconds, default first."""
    credits_per_second: Decimal
    inputs: frozenset[Input] = frozenset(Input)
    most_references: int = 3
    needs_input: bool = False
    """Whether it makes nothing from words alone."""

    @property
    def aspect_ratios(self) -> tuple[str, ...]:
        """The ratios it takes, default first."""
        return tuple(self.sizes)

    def credits(self, seconds: int) -> Decimal:
        """What a video of so many seconds costs, in AI credits."""
        return self.credits_per_second * seconds


@dataclass(frozen=True, slots=True)
class ImageModel:
    """What one model of images can be asked for. The first ratio is its default."""

    name: str
    sizes: Mapping[str, tuple[int, int]]
    """Pixels (width, height) by aspect ratio, default first."""
    credits: Decimal
    """AI credits an image."""
    takes_reference: bool = True

    @property
    def aspect_ratios(self) -> tuple[str, ...]:
        """The ratios it takes, default first."""
        return tuple(self.sizes)


_PIXVERSE_720P = {
    "16:9": (1280, 720),
    "9:16": (720, 1280),
    "1:1": (960, 960),
    "3:4": (832, 1120),
    "4:3": (1120, 832),
}
_VEO_1080P = {"16:9": (1920, 1080), "9:16": (1080, 1920)}

DEFAULT_VIDEO_MODEL = "pixverse5.5"

VIDEO_MODELS: Mapping[str, VideoModel] = {
    model.name: model
    for model in (
        VideoModel("pixverse5.5", _PIXVERSE_720P, (5, 8, 10), Decimal("1.6")),
        VideoModel("veo3.1", _VEO_1080P, (4, 6, 8), Decimal(20)),
        VideoModel("veo3.1_fast", _VEO_1080P, (4, 6, 8), Decimal(10)),
    )
}

STYLES = ("photorealistic", "artistic", "cartoon", "minimalist", "vintage", "futuristic")
"""What an image may be asked to look like."""

_ABOUT_A_MEGAPIXEL = {"1:1": (1024, 1024), "16:9": (1280, 720), "9:16": (720, 1280)}

DEFAULT_IMAGE_MODEL = "seedream3.0"

IMAGE_MODELS: Mapping[str, ImageModel] = {
    model.name: model
    for model in (
        ImageModel("seedream3.0", _ABOUT_A_MEGAPIXEL, Decimal(2)),
        ImageModel("flux-schnell", _ABOUT_A_MEGAPIXEL, Decimal("0.6"), takes_reference=False),
        ImageModel("nanobanana", _ABOUT_A_MEGAPIXEL, Decimal(4)),
        ImageModel("nanobanana-pro", _ABOUT_A_MEGAPIXEL, Decimal(14)),
    )
}


class Offers(NamedTuple):
    """What can be asked for, by name."""

    videos: Mapping[str, VideoModel]
    images: Mapping[str, ImageModel]


CATALOGUE = Offers(VIDEO_MODELS, IMAGE_MODELS)
"""The models of the contract."""

USUAL_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21", "5:4", "4:5")
"""What a picture of unknown origin is taken to have been asked for."""


def nearest_ratio(width: int, height: int, ratios: Iterable[str] = USUAL_RATIOS) -> str:
    """The aspect ratio that is most like a picture of so many pixels."""
    return min(ratios, key=lambda ratio: abs(math.log(width / height) - math.log(_quotient(ratio))))


def _quotient(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return int(width) / int(height)
