"""What a route to Google may say. One set for all of its APIs: ``[providers.google]`` holds for every model there."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rushes.providers.facts import Known


class GoogleOptions(Known):
    """``base_url`` is the API's own unless it is said."""

    api: Literal["veo", "gemini_image", "omni"]
    base_url: str | None = Field(default=None, pattern=r"^https?://[^/?#\s]+[^?#\s]*$")
    key_env: str | None = None
    key_file: str | None = None
    extra: dict[str, str | int | float | bool] = {}
    """Fields of Google's own, sent with every create as they are: of Veo's ``parameters``, of an image's
    ``generationConfig``, of Omni's ``response_format``."""
    project: str | None = None
    """Veo: the Google Cloud project; without it, the service account's."""
    location: str = Field(default="us-central1", pattern=r"^[a-z0-9-]+$")
    storage_uri: str | None = Field(default=None, pattern=r"^gs://[^/\s]+(/\S*)?$")
    """Veo: where in Cloud Storage it writes; without it, the video comes inside the answer."""
    storage_url: str = Field(default="https://storage.googleapis.com", pattern=r"^https?://[^/?#\s]+$")
    audio: bool = True
    """Veo: whether the video gets a sound track."""
    image_size: Literal["1K", "2K", "4K"] | None = None
    """Gemini's images: models before 3 know none."""
