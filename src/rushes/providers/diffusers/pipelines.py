"""The libraries' side: a pipeline loaded and called. Only a model's own process imports this.

Whatever a family wants beside the ticket (multiples of pixels and frames) is read from the weights themselves. Sizes
and lengths are rounded up to it here and cut to what was ordered in :mod:`.delivery`.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
from numpy.typing import NDArray
from PIL import Image

from rushes.errors import ModelUnavailable, ProviderFailed, ProviderUnreachable
from rushes.providers.diffusers.options import FAMILIES
from rushes.providers.diffusers.process import Settings
from rushes.providers.diffusers.ticket import Ticket

log = logging.getLogger(__name__)

Frames = NDArray[np.float32]
"""Frames, rows, columns, colours from 0 to 1."""
OnStep = Callable[[float], None]
"""Told how far it has come, from 0 to 1; may raise to stop it."""

_DECODING = 1
"""What is left when the last step is done, in steps."""


def device(told: str | None) -> str:
    """Where to compute: as told, or on what there is.

    Raises:
        ModelUnavailable: what was told is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if told is None:
        return next(name for name, is_there in there.items() if is_there)
    if not there[told.partition(":")[0]]:
        raise ModelUnavailable(f"The device is to be {told}, and torch finds none here: is its build one for it?")
    return told.removesuffix(":0")


def load(settings: Settings, device: str) -> Any:
    """The pipeline, on its device.

    Raises:
        ModelUnavailable: it cannot be loaded as it is set.
        ProviderUnreachable: the hub does not answer.
    """
    _be_quiet()
    kind = getattr(diffusers, FAMILIES[settings.pipeline].pipeline)
    try:
        pipe = kind.from_pretrained(
            settings.id,
            dtype=_dtypes(settings, device),
            variant=settings.variant,
            local_files_only=Path(settings.id).is_dir(),
            use_safetensors=True,
        )
        return _placed(pipe, settings, device)
    except Exception as error:  # whatever the libraries raise: it cannot be loaded, unless it does not fit
        if is_want_of_memory(error):
            raise
        raise _unloadable(settings, error) from error


def _be_quiet() -> None:
    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.disable_progress_bar()
        library.set_verbosity_error()


def _dtypes(settings: Settings, device: str) -> Any:
    dtype = getattr(torch, settings.dtype or ("float32" if device == "cpu" else "bfloat16"))
    # Wan's VAE shows flicker in half precision; its makers leave it at full.
    return {"default": dtype, "vae": torch.float32} if settings.pipeline.startswith("Wan") else dtype


def _unloadable(settings: Settings, error: Exception) -> Exception:
    log.exception("%s cannot be loaded", settings.id)
    if _is_of_the_network(error):
        return ProviderUnreachable("The hub that the model is to come from does not answer.")
    return ModelUnavailable(f"The model cannot be loaded ({type(error).__name__}); the server's log says why.")


def _is_of_the_network(error: BaseException | None) -> bool:
    """Whether something behind it is, by the name that the HTTP library of the day gives it."""
    while error is not None:
        if any(word in type(error).__name__ for word in ("Connect", "Timeout")):
            return True
        error = error.__cause__ or error.__context__
    return False


def _placed(pipe: Any, settings: Settings, device: str) -> Any:
    """Ready to run there."""
    pipe.set_progress_bar_config(disable=True)
    if settings.offload and device != "cpu":
        pipe.enable_model_cpu_offload(device=device)
        pipe.vae.enable_tiling()
        return pipe
    return pipe.to(device)


def is_want_of_memory(error: Exception) -> bool:
    """Whether it did not fit, by whatever name it is told."""
    words = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in words or "can't allocate memory" in words)
    )


def generate(pipe: Any, ticket: Ticket, on_step: OnStep) -> Frames:
    """What was ordered, at least: it may be larger all around, and longer.

    Raises:
        ProviderFailed: what came out are no pictures.
    """
    grid = _Grid.of(pipe)
    asked = {
        "prompt": ticket.prompt,
        "negative_prompt": ticket.negative_prompt,
        "width": grid.side(ticket.width),
        "height": grid.side(ticket.height),
        "num_inference_steps": ticket.steps,
        "guidance_scale": ticket.guidance,
        "generator": torch.Generator("cpu").manual_seed(ticket.seed),
        "output_type": "np",
        "callback_on_step_end": _callback(on_step),
        **ticket.extra,
    }
    call = _CALLS[type(pipe).__name__]
    try:
        made = call(pipe, grid, ticket, {name: value for name, value in asked.items() if value is not None})
    finally:
        pipe.maybe_free_model_hooks()  # a call that was broken off has left them where they were
    return _sound(made)


@dataclass(frozen=True, slots=True)
class _Grid:
    """What pixels and frames have to be multiples of."""

    pixels: int
    frames: int

    @classmethod
    def of(cls, pipe: Any) -> _Grid:
        match type(pipe).__name__:
            case "LTXConditionPipeline":
                return cls(max(32, pipe.vae_spatial_compression_ratio), pipe.vae_temporal_compression_ratio)
            case "FluxPipeline":
                return cls(2 * pipe.vae_scale_factor, 1)
            case _:
                patch = (pipe.transformer or pipe.transformer_2).config.patch_size[1]
                return cls(max(16, pipe.vae_scale_factor_spatial * patch), pipe.vae_scale_factor_temporal)

    def side(self, pixels: int) -> int:
        return -(-pixels // self.pixels) * self.pixels

    def count(self, frames: int) -> int:
        """A multiple and one."""
        return -(-(frames - 1) // self.frames) * self.frames + 1

    def known(self, opening: list[Image.Image]) -> list[Image.Image]:
        """As many of the last pictures as make a multiple and one."""
        return opening[-((len(opening) - 1) // self.frames * self.frames + 1) :] if opening else []


def _callback(on_step: OnStep) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    def callback(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        on_step((step + 1) / (pipe.num_timesteps + _DECODING))
        return tensors

    return callback


def _ltx(pipe: Any, grid: _Grid, ticket: Ticket, asked: dict[str, Any]) -> Frames:
    """Words, and a picture or a clip to go on from: of the clip, only its last frame is part of what is made."""
    known = grid.known(_pictures(ticket, asked))
    context = max(0, len(known) - 1)
    if known:
        given: dict[str, Any] = {"image": known[0]} if len(known) == 1 else {"video": known}
        asked["conditions"] = [LTXVideoCondition(**given, frame_index=0)]
    made = pipe(**asked, num_frames=grid.count(context + ticket.frames), frame_rate=ticket.fps).frames[0]
    return made[context:]  # type: ignore[no-any-return]


def _wan(pipe: Any, grid: _Grid, ticket: Ticket, asked: dict[str, Any]) -> Frames:
    if pictures := _pictures(ticket, asked):
        asked["image"] = pictures[-1]
        if isinstance(pipe, diffusers.WanPipeline):
            pipe = _opening_with_picture(pipe)
    return pipe(**asked, num_frames=grid.count(ticket.frames)).frames[0]  # type: ignore[no-any-return]


def _opening_with_picture(pipe: Any) -> Any:
    """Wan 2.2's 5B has the same parts for both; only the way they are called differs."""
    config = pipe.config
    other = diffusers.WanImageToVideoPipeline(
        **pipe.components, boundary_ratio=config.boundary_ratio, expand_timesteps=config.expand_timesteps
    )
    other.set_progress_bar_config(disable=True)
    return other


def _flux(pipe: Any, grid: _Grid, ticket: Ticket, asked: dict[str, Any]) -> Frames:
    return pipe(**asked).images  # type: ignore[no-any-return]


_CALLS: dict[str, Callable[[Any, _Grid, Ticket, dict[str, Any]], Frames]] = {
    "LTXConditionPipeline": _ltx,
    "WanPipeline": _wan,
    "WanImageToVideoPipeline": _wan,
    "FluxPipeline": _flux,
}


def _pictures(ticket: Ticket, asked: dict[str, Any]) -> list[Image.Image]:
    """What it opens with, in the size that is made: what is cut off again afterwards mirrors what stays."""
    return [_framed(picture, asked["width"], asked["height"]) for picture in ticket.opening]


def _framed(encoded: bytes, width: int, height: int) -> Image.Image:
    with Image.open(io.BytesIO(encoded), formats=("JPEG",)) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    rows, columns = height - pixels.shape[0], width - pixels.shape[1]
    sides = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
    return Image.fromarray(np.pad(pixels, sides, mode="symmetric"))


def _sound(made: Frames) -> Frames:
    if not np.isfinite(made).all():
        raise ProviderFailed("The model's numbers ran over: set dtype to bfloat16 or float32 for it.")
    return made
