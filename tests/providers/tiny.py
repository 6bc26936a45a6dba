"""Pipelines of a hundred thousand random weights, made in code and saved as a folder like any other.

Run as a program, because the tests' own process should not import torch: ``tiny models <folder>`` makes them all,
``tiny going-on <model> <ticket> <to>`` calls one directly, as its documentation does, to compare with.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

T5 = {"vocab_size": 128, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
CLIP = {
    "vocab_size": 128, "hidden_size": 16, "intermediate_size": 16, "projection_dim": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "max_position_embeddings": 77,
}  # fmt: skip
LTX_VAE = {
    "latent_channels": 8, "block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4,
    "layers_per_block": (1,) * 5, "decoder_layers_per_block": (1,) * 5,
}  # fmt: skip
LTX = {
    "in_channels": 8, "out_channels": 8, "num_attention_heads": 2, "attention_head_dim": 8, "cross_attention_dim": 16,
    "num_layers": 1, "caption_channels": 16,
}  # fmt: skip
WAN_VAE = {
    "base_dim": 4, "z_dim": 4, "dim_mult": [1] * 4, "num_res_blocks": 1, "temperal_downsample": [False, True, True],
    "latents_mean": [0.0] * 4, "latents_std": [1.0] * 4,
}  # fmt: skip
WAN = {
    "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12, "out_channels": 4, "text_dim": 16,
    "freq_dim": 16, "ffn_dim": 16, "num_layers": 1,
}  # fmt: skip
FLUX_VAE = {
    "block_out_channels": (8, 8), "down_block_types": ("DownEncoderBlock2D",) * 2, "latent_channels": 4,
    "up_block_types": ("UpDecoderBlock2D",) * 2, "norm_num_groups": 4, "use_quant_conv": False,
    "use_post_quant_conv": False, "shift_factor": 0.0, "scaling_factor": 1.0,
}  # fmt: skip
FLUX = {
    "in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2,
    "joint_attention_dim": 16, "pooled_projection_dim": 16, "axes_dims_rope": (4, 4, 8),
}  # fmt: skip


def ltx() -> Any:
    """LTX-Video: words, a first frame, a clip to go on from."""
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXConditionPipeline,
        LTXVideoTransformer3DModel,
    )
    from transformers import T5Config, T5EncoderModel

    return LTXConditionPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLLTXVideo(**LTX_VAE),
        text_encoder=T5EncoderModel(T5Config(**T5)),
        tokenizer=tokenizer(),
        transformer=LTXVideoTransformer3DModel(**LTX),
    )


def wan(*, with_picture: bool = False, for_both: bool = False) -> Any:
    """Wan: from words, or from a picture and words, or (as its 2.2 of 5B) from either."""
    from diffusers import (
        AutoencoderKLWan,
        FlowMatchEulerDiscreteScheduler,
        WanImageToVideoPipeline,
        WanPipeline,
        WanTransformer3DModel,
    )
    from transformers import UMT5Config, UMT5EncoderModel

    kind = WanImageToVideoPipeline if with_picture else WanPipeline
    return kind(
        tokenizer=tokenizer(),
        text_encoder=UMT5EncoderModel(UMT5Config(**T5)),
        vae=AutoencoderKLWan(**WAN_VAE),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        transformer=WanTransformer3DModel(**WAN, in_channels=4 + 4 + 4 if with_picture else 4),
        expand_timesteps=for_both,
    )


def flux() -> Any:
    """Flux schnell: images from words."""
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKL(**FLUX_VAE),
        text_encoder=CLIPTextModel(CLIPTextConfig(**CLIP)),
        tokenizer=tokenizer(),
        text_encoder_2=T5EncoderModel(T5Config(**T5)),
        tokenizer_2=tokenizer(),
        transformer=FluxTransformer2DModel(**FLUX),
    )


def tokenizer() -> Any:
    """One token a character."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *string.printable])}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=77
    )


def models(folder: Path) -> None:
    """All of them, each in a folder of its own."""
    import torch

    made: dict[str, Callable[[], Any]] = {
        "ltx": ltx,
        "wan": wan,
        "wan-picture": partial(wan, with_picture=True),
        "wan-both": partial(wan, for_both=True),
        "flux": flux,
    }
    for name, pipeline in made.items():
        torch.manual_seed(0)
        pipeline().save_pretrained(folder / name, safe_serialization=True)


def going_on(model: Path, ticket: Path, to: Path) -> None:
    """All 17 frames that LTX-Video makes from the 9 of a ticket."""
    import io

    import numpy as np
    import torch
    from diffusers import LTXConditionPipeline
    from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition
    from PIL import Image

    from rushes.providers.diffusers.ticket import from_text

    told = from_text(ticket.read_text())
    clip = [Image.open(io.BytesIO(picture)) for picture in told.opening]
    made = LTXConditionPipeline.from_pretrained(model)(
        conditions=[LTXVideoCondition(video=clip, frame_index=0)],
        prompt=told.prompt,
        width=told.width,
        height=told.height,
        num_frames=17,
        frame_rate=told.fps,
        num_inference_steps=told.steps,
        generator=torch.Generator("cpu").manual_seed(told.seed),
        output_type="np",
    )
    np.save(to, made.frames[0])


if __name__ == "__main__":
    if sys.argv[1] == "models":
        models(Path(sys.argv[2]))
    else:
        going_on(*map(Path, sys.argv[2:]))
