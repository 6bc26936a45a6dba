"""Google's models, each behind the API that serves it: Veo on Vertex, Gemini's images, Gemini Omni."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from rushes.catalogue import Input
from rushes.errors import BadSetting, ProviderUnreachable
from rushes.providers import Delivered, Done, Order, Pending, Provider, Refused, Setup
from rushes.providers.google.images import GeminiImage
from rushes.providers.google.omni import Omni
from rushes.providers.google.options import GoogleOptions
from rushes.providers.google.veo import Veo

_APIS: Mapping[str, type[Provider]] = {"veo": Veo, "gemini_image": GeminiImage, "omni": Omni}
_THEIR_OWN = ("key_file", "key_env", "base_url")
"""Options that mean one API alone."""


class Google(Provider):
    """A model of Google's, by the API that its facts (or the option ``api``) name.

    Options: ``id``, ``api``, ``base_url``, ``extra``; for Veo ``project``, ``location``, ``storage_uri``,
    ``storage_url``, ``audio``; for Gemini's images ``image_size``.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._name: str = GoogleOptions.of("google", setup).api
        self._apis: dict[str, Provider] = {self._name: _APIS[self._name](setup)}
        self.capabilities, self.price = self._api.capabilities, self._api.price

    @property
    def _api(self) -> Provider:
        return self._apis[self._name]

    def seconds(self, asked: int, begins: Input | None) -> int:
        """As its API has it."""
        return self._api.seconds(asked, begins)

    async def submit(self, order: Order) -> str | Delivered:
        """Send it."""
        return await self._api.submit(order)

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ask for the job, at the API that has it."""
        return await self._holder(ticket).poll(ticket)

    async def download(self, done: Done, to: Path) -> None:
        """Fetch the MP4."""
        await self._holder(done.source).download(done, to)

    async def cancel(self, ticket: str) -> Decimal | None:
        """Ask Omni to stop; Veo cannot be asked."""
        return await self._holder(ticket).cancel(ticket)

    async def check(self) -> str | None:
        """Ask for what is known of the model, which costs nothing."""
        return await self._api.check()

    async def close(self) -> None:
        """Let go of connections."""
        for api in self._apis.values():
            await api.close()

    def _holder(self, ticket: str) -> Provider:
        """The route may name a model of another API by now."""
        name = "veo" if ticket.startswith(Veo.tickets) else "omni"
        if name not in self._apis:
            options = {key: value for key, value in self._setup.options.items() if key not in _THEIR_OWN}
            if name == "veo":  # only to ask for it, wherever it is
                options = {"project": ticket.split("/")[1], **options}
            try:
                self._apis[name] = _APIS[name](replace(self._setup, options=options))
            except BadSetting as error:
                raise ProviderUnreachable(f"The job is with another of Google's APIs: {error.sentence}") from error
        return self._apis[name]
