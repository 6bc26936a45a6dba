"""Models of many makers at one vendor, each with its own endpoints and words: which field gets what is data.

fal and Replicate serve the models of others. A request goes to one endpoint by what it begins with, in fields that
``<provider>.toml`` or ``rushes.toml`` names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from rushes.catalogue import Input
from rushes.errors import ProviderFailed
from rushes.providers import Capabilities, Order
from rushes.providers.facts import Options
from rushes.providers.pictures import cover, read

Scalar = str | int | float | bool
Link = Callable[[bytes], Awaitable[str]]
"""Makes a file one that the vendor finds: a data URI, or the URL of an upload."""
Fact = Literal[
    "aspect_ratio", "seconds", "seconds_text", "seconds_s", "resolution", "audio", "size", "width", "height",
    "first_frame", "extend_video", "references",
]  # fmt: skip
"""What a field can be given: ``16:9``; 8, ``"8"`` or ``"8s"``; the route's ``resolution`` and ``audio``; the pixels as
``{"width", "height"}``, or one of them; the link of an input, or the list of links."""


class Endpoint(BaseModel):
    """Where a request goes, and in which words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)+(:\w+)?$")
    sends: dict[str, Fact] = {}
    durations: tuple[PositiveInt, ...] | None = None
    extra: dict[str, Scalar] = {}

    def seconds(self, asked: int) -> int:
        """The shortest of its durations that is long enough, else the longest."""
        return min((each for each in self.durations or (asked,) if each >= asked), default=max(self.durations or (0,)))


class Endpoints(Options):
    """The options of a model with endpoints."""

    text: Endpoint | None = None
    first_frame: Endpoint | None = None
    extend_video: Endpoint | None = None
    references: Endpoint | None = None
    resolution: str | None = None
    audio: bool = False
    extra: dict[str, Scalar] = {}
    """Fields of the model's own (``negative_prompt``, ``seed`` …), sent with every request as they are."""

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if not self.endpoints:
            raise ValueError("it is not among the models known; say where it goes: text = { endpoint = …, sends = … }")
        return self

    @property
    def endpoints(self) -> dict[Input | None, Endpoint]:
        """By what a request begins with; ``None`` is words alone."""
        named: dict[Input | None, Endpoint | None] = {None: self.text}
        named |= {each: getattr(self, each) for each in Input}
        return {begins: endpoint for begins, endpoint in named.items() if endpoint}

    @property
    def places(self) -> list[str]:
        """Every endpoint, once."""
        return list(dict.fromkeys(each.endpoint for each in self.endpoints.values()))

    @property
    def capabilities(self) -> Capabilities:
        """It takes what it has an endpoint for, unless it says itself what it does."""
        takes = self.inputs or frozenset(each for each in self.endpoints if each)
        return Capabilities(takes, self.most_references, self.sizes, self.durations, needs_input=self.text is None)

    def seconds(self, asked: int, begins: Input | None) -> int:
        """What the endpoint makes of so many."""
        endpoint = self.endpoints.get(begins)
        return endpoint.seconds(asked) if endpoint else asked

    def place(self, order: Order) -> Endpoint:
        """Where an order goes.

        Raises:
            ProviderFailed: there is no endpoint for what it begins with.
        """
        begins = order.inputs.begins
        if endpoint := self.endpoints.get(begins):
            return endpoint
        what = "words alone" if begins is None else begins.replace("_", " ")
        raise ProviderFailed(f"The provider of {order.model} makes nothing from {what}. Choose another model.")

    async def fields(self, order: Order, link: Link) -> dict[str, Any]:
        """What its endpoint is sent; a field for which there is no value is left away."""
        place = self.place(order)
        prompt = f"{order.prompt} ({order.style} style)" if order.style else order.prompt
        sent = {name: await self._value(fact, place, order, link) for name, fact in place.sends.items()}
        known = {name: value for name, value in sent.items() if value is not None}
        return {"prompt": prompt, **known, **place.extra, **self.extra}

    async def _value(self, fact: Fact, place: Endpoint, order: Order, link: Link) -> Any:
        inputs = order.inputs
        match fact:
            case "first_frame":
                return inputs.first_frame and await link(await cover(inputs.first_frame, order.width, order.height))
            case "extend_video":
                return inputs.extend_video and await link(await read(inputs.extend_video))
            case "references":
                return [await link(await read(each)) for each in inputs.references]
        seconds = place.seconds(order.seconds)
        return {
            "aspect_ratio": order.aspect_ratio,
            "seconds": seconds,
            "seconds_text": str(seconds),
            "seconds_s": f"{seconds}s",
            "resolution": self.resolution,
            "audio": self.audio,
            "size": {"width": order.width, "height": order.height},
            "width": order.width,
            "height": order.height,
        }[fact]
