"""What is known of a vendor's models, kept as data: ``<provider>.toml`` beside the provider's module.

Ids, abilities and prices age; logic does not. A table ``[routes]`` maps the public names to the vendor's ids; a table
``[models."<id>"]`` holds what is known of one: the fields of the provider's own options, under what ``rushes.toml``
says. ``version`` is the day the facts were gathered.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rushes.catalogue import Input
from rushes.errors import BadSetting
from rushes.providers import Capabilities, Price, Setup


class Facts(BaseModel):
    """One vendor's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    routes: dict[str, str] = {}
    models: dict[str, dict[str, Any]] = {}


@cache
def facts(provider: str) -> Facts:
    """The file of a built-in provider."""
    text = files("rushes.providers").joinpath(f"{provider}.toml").read_text()
    return Facts.model_validate(tomllib.loads(text, parse_float=Decimal))


class Known(BaseModel):
    """What a route may say of its model, or the facts know; a provider adds what it needs beside."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    """The vendor's name for the model."""
    inputs: frozenset[Input] = frozenset()
    most_references: int = 3
    sizes: Mapping[str, tuple[int, int]] | None = None
    durations: tuple[int, ...] | None = None
    dollars: Decimal | None = None
    """An item, by the vendor's price list."""
    dollars_per_second: Decimal | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the model can be asked for."""
        return Capabilities(self.inputs, self.most_references, self.sizes, self.durations)

    def price(self, provider: str) -> Price | None:
        """What the list says, with the list's name and day."""
        table = f"{provider} {facts(provider).version}"
        if self.dollars is not None:
            return Price(self.dollars, per_second=False, table=table)
        if self.dollars_per_second is not None:
            return Price(self.dollars_per_second, per_second=True, table=table)
        return None

    @classmethod
    def of(cls, provider: str, setup: Setup, under: Mapping[str, Any] | None = None) -> Self:
        """The options of a route, over what is known of its model, over what is known of its like (``under``).

        Raises:
            BadSetting: naming what is missing, unknown or wrong.
        """
        known = facts(provider)
        name = setup.options.get("id") or known.routes.get(setup.model)
        if not name:
            raise BadSetting(
                f'models."{setup.model}" goes to {provider}, so it must say which of its models: id = "…".'
            )
        try:
            return cls.model_validate({**(under or {}), **known.models.get(name, {}), **setup.options, "id": name})
        except ValidationError as error:
            first = error.errors()[0]
            what, where = first["msg"].removeprefix("Value error, "), ".".join(map(str, first["loc"]))
            what = "is no option of this provider" if first["type"] == "extra_forbidden" else what
            about = f'models."{setup.model}" or providers."{provider}"'
            raise BadSetting(": ".join(filter(None, (about, where, what))) + ".") from error


class Options(Known):
    """What every vendor's route may say beside: where the vendor is, and where the key comes from."""

    base_url: str = Field(pattern=r"^https?://[^/?#@\s]+[^?#\s]*$")
    key_env: str | None = None
    key_file: str | None = None


def needed_key(provider: str, setup: Setup, usual: str) -> str:
    """The vendor's key.

    Raises:
        BadSetting: there is none.
    """
    if key := setup.key(usual):
        return key
    name = setup.options.get("key_env", usual)
    raise BadSetting(
        f'models."{setup.model}" goes to {provider}, which needs a key: set {name}, or {name}_FILE to the path of a '
        "file that holds it."
    )
