"""From a model's name to the provider that makes it, imported on first use; and what this server offers for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from importlib import import_module
from typing import NamedTuple

from rushes.catalogue import CATALOGUE, ImageModel, Input, Offers, VideoModel
from rushes.config import Config, Route, secret
from rushes.errors import BadSetting, ModelUnavailable
from rushes.model import Kind, Request, VideoRequest
from rushes.providers import Price, Provider, Setup


class Limit(NamedTuple):
    """How many jobs of these models, together, may be under way at once."""

    most: int
    models: tuple[str, ...]


PROVIDERS: Mapping[str, str] = {
    "sandbox": "rushes.providers.sandbox:Sandbox",
    "openai_compatible": "rushes.providers.openai_compatible:OpenAICompatible",
    "fal": "rushes.providers.fal:Fal",
    "pixverse": "rushes.providers.pixverse:PixVerse",
    "google": "rushes.providers.google:Google",
    "replicate": "rushes.providers.replicate:Replicate",
    "diffusers": "rushes.providers.diffusers:Diffusers",
}


class Routes:
    """The providers of one configuration, each made once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._made: dict[tuple[str, str], Provider] = {}

    def name(self, model: str) -> str:
        """The word of the provider that makes ``model`` now.

        Raises:
            ModelUnavailable: nothing is configured for it (any more).
        """
        return self._route(model).provider

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The word of each model's provider."""
        here = {**self._config.video_models, **self._config.image_models}
        return {model: self._route(model).provider for model in here}

    def limits(self, model: str) -> tuple[Limit, ...]:
        """What holds for the number of a model's jobs under way, across all workers."""
        return self._limits.get(model, ())

    @property
    def limited(self) -> bool:
        """Whether any number of jobs under way is limited."""
        return any(self._limits.values())

    @cached_property
    def _limits(self) -> Mapping[str, tuple[Limit, ...]]:
        return {model: tuple(self._limits_of(model, name)) for model, name in self.names.items()}

    def _limits_of(self, model: str, name: str) -> Iterator[Limit]:
        if (most := self._route(model).concurrency) is not None:
            yield Limit(most, (model,))
        settings = self._config.providers.get(name)
        if settings and settings.concurrency is not None:
            yield Limit(settings.concurrency, tuple(each for each, its in self.names.items() if its == name))

    def provider(self, model: str, name: str | None = None) -> Provider:
        """The provider that makes ``model``; with the ``name`` of another, the one that took an order for it before
        the route was changed.

        Raises:
            ModelUnavailable: nothing is configured for it (any more).
        """
        route = self._route(model)
        name = name or route.provider
        if (model, name) not in self._made:
            self._made[model, name] = self._make(model, name, route if name == route.provider else None)
        return self._made[model, name]

    def check(self) -> None:
        """Make every provider that is named, so that a wrong name is told at start and not in a job.

        Raises:
            BadSetting: a provider cannot be imported, or not with these settings; or its price is not known and
                must be, because there is a budget.
        """
        known = {*PROVIDERS, *(route.provider for route in self._config.models.values())}
        if strange := sorted(set(self._config.providers) - known):
            raise BadSetting(
                f'providers."{strange[0]}" is no provider of a route; use one of {", ".join(sorted(known))}.'
            )
        for model, route in self._config.models.items():
            self.provider(model)
            settings = self._config.providers.get(route.provider)
            limited = self._config.account_budget is not None or (settings and settings.budget is not None)
            if limited and self.price(model) is None:
                raise BadSetting(
                    f'models."{model}" has no known price, and there is a budget to keep; give the route a '
                    "dollars_per_second (or dollars, an item)."
                )

    def price(self, model: str, name: str | None = None) -> Price | None:
        """What ``model`` costs at its provider: the route's own figure, or else the price list; of the provider of that
        ``name``, where it is no longer the route's.
        """
        route = self._route(model)
        if name in (None, "", route.provider):
            if route.dollars is not None:
                return Price(route.dollars, per_second=False, table="rushes.toml")
            if route.dollars_per_second is not None:
                return Price(route.dollars_per_second, per_second=True, table="rushes.toml")
        return self.provider(model, name).price

    def estimate(self, request: Request) -> Decimal | None:
        """What a request is expected to cost, in dollars; ``None``: nobody knows."""
        price = self.price(request.model)
        return None if price is None else price.of(self.seconds(request))

    def seconds(self, request: Request, name: str | None = None) -> int:
        """How much video is made for a request, and charged for, at its provider or at that of the ``name``; 0 for an
        image.
        """
        if not isinstance(request, VideoRequest):
            return 0
        return self.provider(request.model, name or None).seconds(request.seconds, self._begins(request))

    def _begins(self, request: VideoRequest) -> Input | None:
        if request.extend_video_url:
            can = Input.EXTEND_VIDEO in self.takes(request.model)
            return Input.EXTEND_VIDEO if can else Input.FIRST_FRAME
        if request.first_frame_image_url:
            return Input.FIRST_FRAME
        return Input.REFERENCES if request.reference_image_urls else None

    @cached_property
    def offers(self) -> Offers:
        """What can be asked for here: as the route says, or its provider, or else the catalogue."""
        config = self._config
        return Offers(
            {name: self._video(model) for name, model in config.video_models.items()},
            {name: self._image(model) for name, model in config.image_models.items()},
        )

    @cached_property
    def listed(self) -> list[tuple[VideoModel | ImageModel, str | None]]:
        """Every model of the contract and of the operator, with its provider, or ``None`` where it has no route."""
        here = self.offers
        models: dict[str, VideoModel | ImageModel] = {**CATALOGUE.videos, **here.videos}
        models |= {**CATALOGUE.images, **here.images}
        routes = {name: self._config.route(name) for name in models}
        return [(model, route.provider if (route := routes[name]) else None) for name, model in models.items()]

    def takes(self, model: str) -> frozenset[Input]:
        """What the provider itself makes a video of ``model`` from."""
        route = self._route(model)
        return self.provider(model).capabilities.inputs if route.inputs is None else route.inputs

    def _by_last_frame(self, model: str) -> frozenset[Input]:
        """A video can be continued wherever one can open with a picture: its last frame is one."""
        return frozenset({Input.EXTEND_VIDEO} if Input.FIRST_FRAME in self.takes(model) else {})

    async def close(self) -> None:
        """Close every provider that was made."""
        for provider in self._made.values():
            await provider.close()

    def _route(self, model: str) -> Route:
        route = self._config.route(model)
        if route is None:
            raise ModelUnavailable(f'{model} has no provider here any more; add [models."{model}"] to rushes.toml.')
        return route

    def _make(self, model: str, name: str, route: Route | None) -> Provider:
        settings = self._config.providers.get(name)
        setup = Setup(
            model=model,
            kind=Kind.IMAGE if model in self._config.image_models else Kind.VIDEO,
            options={**(settings.options if settings else {}), **(route.options if route else {})},
            secret=secret,
            allow_private_hosts=self._config.allow_private_hosts,
        )
        return _class(model, name)(setup)

    def _video(self, model: VideoModel) -> VideoModel:
        route, can = self._route(model.name), self.provider(model.name).capabilities
        return replace(
            model,
            sizes=model.sizes if route.sizes else can.sizes or model.sizes,
            durations=model.durations if route.durations else can.durations or model.durations,
            inputs=self.takes(model.name) | self._by_last_frame(model.name),
            most_references=can.most_references,
            needs_input=can.needs_input,
        )

    def _image(self, model: ImageModel) -> ImageModel:
        route, can = self._route(model.name), self.provider(model.name).capabilities
        takes = model.takes_reference and Input.REFERENCES in can.inputs
        return replace(model, sizes=model.sizes if route.sizes else can.sizes or model.sizes, takes_reference=takes)


def _class(model: str, name: str) -> type[Provider]:
    module, _, attribute = PROVIDERS.get(name, name).replace(":", ".").rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise _wrong(model, name, f"cannot be imported ({error})") from error
    if not isinstance(found, type) or not issubclass(found, Provider):
        raise _wrong(model, name, "is no subclass of rushes.providers.Provider")
    return found


def _wrong(model: str, name: str, why: str) -> BadSetting:
    return BadSetting(
        f'models."{model}".provider is {name!r}, which {why}; use one of {", ".join(PROVIDERS)} or a dotted path to '
        "a class."
    )
