"""What the contract suite has to be told of a provider and of the server that plays its vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rushes.catalogue import Input
from rushes.model import Kind
from rushes.providers import Provider, Setup
from tests.servers.fake import KEY, Fake


@dataclass(frozen=True)
class Case:
    """A provider, the server it is tried against, and the answers of that server that mean what the suite asks for."""

    name: str
    provider: type[Provider]
    server: Callable[[bytes, bytes], Fake]
    key: str
    """The usual name of its key."""
    model: str = "pixverse5.5"
    kind: Kind = Kind.VIDEO
    options: Mapping[str, Any] = field(default_factory=dict)
    """What is callable is asked with the server for its value."""
    credential: Callable[[Any, str], str] = lambda server, key: key
    """What stands in the environment for a key of the vendor's, where that is not the key itself."""
    inputs: frozenset[Input] = frozenset()
    """Which of the inputs the suite sends; each alone."""
    not_now: Mapping[str, Any] = field(default_factory=lambda: {"error": "slow down"})
    """The body of a 429."""
    retired: Mapping[str, Any] = field(default_factory=lambda: {"error": "no longer available"})
    """The body of a 404 to a create."""
    media: bool = False
    """Whether its results are on a host that is none of the API's."""
    cancels: bool = True
    checks: bool = True
    polls: bool = True
    """Whether there is a job to poll: ``False`` where the answer to a create is the file."""
    needs_key: bool = True
    remote: bool = True
    """``False``: it draws here, and asks nobody."""

    def setup(self, fake: Fake, **changes: Any) -> Setup:
        """As ``rushes.toml`` would say it, with the key in the environment."""
        options = {"base_url": fake.base_url, **self.options, **changes}
        told = {name: value(fake) if callable(value) else value for name, value in options.items()}
        return Setup(
            model=self.model,
            kind=self.kind,
            options={name: value for name, value in told.items() if value is not None},
            secret={self.key: self.credential(fake, KEY)}.get,
            allow_private_hosts=frozenset({"127.0.0.1"}),
        )
