"""Orders for the sandbox, and its films and images decoded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rushes.model import Kind
from rushes.providers import Done, Inputs, Order, Pending, Refused, Setup
from rushes.providers.sandbox import Sandbox

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Film:
    """An MP4, decoded: RGB frames and what the file says of itself."""

    frames: list[Picture]
    width: int
    height: int
    pixels: str
    seconds: float
    rate: Fraction | None


def order(prompt: str = "a calm sea", inputs: Inputs | None = None, **facts: Any) -> Order:
    """A small order, unless ``facts`` say otherwise."""
    usual: dict[str, Any] = {"model": "pixverse5.5", "width": 320, "height": 480, "seconds": 2}
    given = {"job_id": "00000000-0000-0000-0000-000000000001", "aspect_ratio": "9:16", **usual, **facts}
    return Order(prompt=prompt, inputs=inputs or Inputs(), **given)


def image_order(prompt: str = "a calm sea", reference: Path | None = None, **facts: Any) -> Order:
    """A small image's order, unless ``facts`` say otherwise."""
    usual: dict[str, Any] = {"model": "seedream3.0", "width": 400, "height": 400, "seconds": 0, "aspect_ratio": "1:1"}
    inputs = Inputs(references=(reference,) if reference else ())
    return order(prompt, inputs, **{"kind": Kind.IMAGE, **usual, **facts})


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


def submitted(wanted: Order, clock: Clock | None = None) -> str:
    return asyncio.run(Sandbox(Setup("pixverse5.5"), now=clock or Clock()).submit(wanted))


def polled(ticket: str, clock: Clock) -> Pending | Done | Refused:
    """By another instance than the one that took the order."""
    return asyncio.run(Sandbox(Setup("pixverse5.5"), now=clock).poll(ticket))


def made(wanted: Order, to: Path, sandbox: Sandbox | None = None) -> Path:
    """Submit, poll, download; all through the public methods."""

    async def job() -> Path:
        provider = sandbox or Sandbox(Setup("pixverse5.5"))
        done = await provider.poll(await provider.submit(wanted))
        assert isinstance(done, Done)
        await provider.download(done, to)
        return to

    return asyncio.run(job())


def decoded(mp4: Path) -> Film:
    with av.open(str(mp4)) as container:
        stream = container.streams.video[0]
        frames = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(stream)]
        context = stream.codec_context
        assert stream.time_base is not None
        seconds = float((stream.duration or 0) * stream.time_base)
        rate = stream.average_rate
        return Film(frames, context.width, context.height, context.pix_fmt or "", seconds, rate)


def image(png: Path) -> Picture:
    """A PNG's pixels, RGB."""
    with Image.open(png, formats=("PNG",)) as opened:
        return np.asarray(opened.convert("RGB"), np.uint8)


def psnr(one: Picture, other: Picture) -> float:
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def scenery(width: int, height: int, seed: int = 1) -> Image.Image:
    """Something like a photograph: light and shade at every scale, little colour, some grain."""
    chance = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(7):
        knots = chance.uniform(0, 255, (3 * 2**octave, 2 * 2**octave, 3))
        knots = 0.25 * knots + 0.75 * knots.mean(axis=2, keepdims=True)
        layer = Image.fromarray(knots.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(layer, np.float32) * 0.5 ** (octave + 1)
    return Image.fromarray((total + chance.normal(0, 3, (height, width, 1))).clip(0, 255).astype(np.uint8))
