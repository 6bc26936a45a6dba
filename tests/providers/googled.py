"""Orders for Google's models."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path
from typing import Any

from rushes.providers import Order
from tests.providers import ordered

order = partial(ordered.order, width=1080, height=1920)


def drawing(to: Path, **facts: Any) -> Order:
    size = {"aspect_ratio": "16:9", "width": 1280, "height": 720}
    return ordered.order("nanobanana", result=to, **{**size, **facts})


def in_base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
