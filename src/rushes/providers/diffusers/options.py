"""What a route may say of a model that runs here, and what its folder says of it: read as JSON, nothing is imported."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from rushes.catalogue import Input
from rushes.errors import BadSetting
from rushes.model import Kind
from rushes.providers import Capabilities, Setup
from rushes.providers.facts import Known, facts

NAME = "diffusers"
_HUB = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Family:
    """Pipelines that are called alike: the class that is loaded, what it makes, and from what beside words."""

    pipeline: str
    kind: Kind = Kind.VIDEO
    inputs: frozenset[Input] = frozenset()
    needs_picture: bool = False


# All three classes of LTX-Video load the same files; this one opens with a picture or a clip, or with neither.
_LTX = Family("LTXConditionPipeline", inputs=frozenset({Input.FIRST_FRAME, Input.EXTEND_VIDEO}))
FAMILIES: Mapping[str, Family] = {
    "LTXConditionPipeline": _LTX,
    "LTXPipeline": _LTX,
    "LTXImageToVideoPipeline": _LTX,
    "WanPipeline": Family("WanPipeline"),
    "WanImageToVideoPipeline": Family(
        "WanImageToVideoPipeline", inputs=frozenset({Input.FIRST_FRAME}), needs_picture=True
    ),
    "FluxPipeline": Family("FluxPipeline", Kind.IMAGE),
}
"""By the class that ``model_index.json`` names."""


class Options(Known):
    """One route's."""

    pipeline: str
    variant: str | None = None
    """Which of the folder's files: ``fp16``."""
    folder: Path | None = None
    """Where orders and results lie while they are made; a folder of this user's own below the temporary one."""
    device: str | None = Field(default=None, pattern=r"^(cpu|mps|cuda(:\d+)?)$")
    dtype: Literal["bfloat16", "float16", "float32"] | None = None
    offload: bool = False
    steps: int | None = Field(default=None, ge=1, le=1000)
    guidance: float | None = Field(default=None, ge=0, le=100)
    fps: int = Field(default=24, ge=1, le=60)
    negative_prompt: str | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    extra: dict[str, bool | int | float | str] = {}
    """Arguments of the pipeline's own, passed as they are."""
    idle_seconds: float = Field(default=600, ge=0)
    load_seconds: float = Field(default=7200, gt=0)
    step_seconds: float = Field(default=900, gt=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.offload and self.device == "cpu":
            raise ValueError("offload moves parts between a GPU and the CPU; it cannot go with device = 'cpu'")
        return self

    @property
    def family(self) -> Family:
        """How its pipeline is called."""
        return FAMILIES[self.pipeline]

    @property
    def capabilities(self) -> Capabilities:
        """What the model can be asked for."""
        takes = self.family.inputs | self.inputs
        return Capabilities(takes, 0, self.sizes, self.durations, needs_input=self.family.needs_picture)

    @property
    def is_folder(self) -> bool:
        """Whether the model is a folder of this machine; else it comes from the hub, or from what came from there."""
        return Path(self.id).is_dir()


def told(setup: Setup) -> Options:
    """A route's options over what its folder and the facts say.

    Raises:
        BadSetting: also where the folder is missing, or holds no pipeline that is known here.
    """
    known = facts(NAME)
    name = setup.options.get("id") or known.routes.get(setup.model)
    if not isinstance(name, str):
        return Options.of(NAME, setup)  # which says what is wrong with it
    folder = Path(name).expanduser()
    found = _index(setup, folder) if folder.is_dir() else {}
    pipeline = setup.options.get("pipeline") or known.models.get(name, {}).get("pipeline") or found.get("_class_name")
    family = _family(setup, name, pipeline)
    under = {"pipeline": pipeline, **known.models.get(family.pipeline, {}), **_of_one_for_both(found)}
    options = Options.of(NAME, setup, under)
    return options.model_copy(update={"id": str(folder.resolve())}) if folder.is_dir() else options


def _index(setup: Setup, folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / "model_index.json").read_text())
    except (OSError, ValueError) as error:
        raise BadSetting(
            f'models."{setup.model}".id is {str(folder)!r}, which is no folder of a diffusers model: its '
            f"model_index.json cannot be read ({error})."
        ) from error
    return index if isinstance(index, dict) else {}


def _family(setup: Setup, name: str, pipeline: object) -> Family:
    where = f'models."{setup.model}"'
    if pipeline is None and not _HUB.fullmatch(name):
        raise BadSetting(f"{where}.id is {name!r}, and there is no such folder; correct it.")
    if pipeline is None:
        raise BadSetting(
            f"{where}.id is {name!r}: there is no such folder, and it is no model of the hub that Rushes knows. "
            f'Correct it, or say what it is: pipeline = "{next(iter(FAMILIES))}".'
        )
    family = FAMILIES.get(str(pipeline))
    if family is None:
        raise BadSetting(f"{where} is a {pipeline}; Rushes can run {', '.join(FAMILIES)}.")
    if family.kind is not setup.kind:
        raise BadSetting(f"{where} makes {setup.kind}s, and a {pipeline} makes {family.kind}s.")
    return family


def _of_one_for_both(index: dict[str, Any]) -> dict[str, Any]:
    """Wan 2.2's 5B takes words alone and a first frame as well; its index tells it apart."""
    if index.get("_class_name") == "WanPipeline" and index.get("expand_timesteps"):
        return {"inputs": [Input.FIRST_FRAME], "fps": 24}
    return {}
