"""The client: typed, for Rushes and for the vendor's own service alike; only address and key differ.

    with Client("http://127.0.0.1:8700", key) as client:
        video = client.videos.generate("a fox in the snow", duration="5s")
        client.videos.download(video, Path("fox.mp4"))

:class:`AsyncClient` is the same with ``await``. Errors are those of :mod:`rushes.errors`.
"""

from rushes.client.asynchronous import AsyncClient
from rushes.client.items import (
    Change,
    Changes,
    Image,
    Item,
    Job,
    JobDetail,
    Model,
    Page,
    Progress,
    Quota,
    Video,
)
from rushes.client.options import Filters, ImageOptions, VideoOptions
from rushes.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Change",
    "Changes",
    "Client",
    "Filters",
    "Image",
    "ImageOptions",
    "Item",
    "Job",
    "JobDetail",
    "Model",
    "Page",
    "Progress",
    "Quota",
    "Video",
    "VideoOptions",
]
