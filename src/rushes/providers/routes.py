"""From a model's name to the provider that makes it, imported on first use."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from rushes.config import Config
from rushes.errors import BadSetting, ModelUnavailable
from rushes.providers import Provider

PROVIDERS: Mapping[str, str] = {
    "sandbox": "rushes.providers.sandbox:Sandbox",
}


_VERBS = ("submit", "poll", "download")


class Routes:
    """The providers of one configuration, each made once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._made: dict[str, Provider] = {}

    def provider(self, model: str) -> Provider:
        """The provider that makes ``model``.

        Raises:
            ModelUnavailable: nothing is configured for it (any more).
        """
        if model not in self._made:
            self._made[model] = self._make(model)
        return self._made[model]

    def check(self) -> None:
        """Import every provider that is named, so that a wrong name is told at start and not in a job.

        Raises:
            BadSetting: a provider cannot be imported.
        """
        for model in self._config.models:
            self.provider(model)

    def _make(self, model: str) -> Provider:
        route = self._config.route(model)
        if route is None:
            raise ModelUnavailable(f'{model} has no provider here any more; add [models."{model}"] to rushes.toml.')
        return _class(model, route.provider)(route.options)


def _class(model: str, name: str) -> type[Provider]:
    module, _, attribute = PROVIDERS.get(name, name).replace(":", ".").rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise _wrong(model, name, f"cannot be imported ({error})") from error
    if not isinstance(found, type) or not all(hasattr(found, verb) for verb in _VERBS):
        raise _wrong(model, name, f"is no class with {', '.join(_VERBS)}")
    return cast("type[Provider]", found)


def _wrong(model: str, name: str, why: str) -> BadSetting:
    return BadSetting(
        f'models."{model}".provider is {name!r}, which {why}; use one of {", ".join(PROVIDERS)} or a dotted path to '
        "a class."
    )
