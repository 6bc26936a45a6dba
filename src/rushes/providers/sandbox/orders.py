"""What a prompt asks of the sandbox itself: to fail, refuse, stall, or take its time.

``[sandbox: fail]`` anywhere in a prompt; several with commas: ``[sandbox: slow 5s, refuse]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rushes.errors import (
    ContentRejected,
    JobFailed,
    ModelRetired,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)

_OTHERWISE = "take the [sandbox: …] out of it to have it made."

AT_SUBMIT: Mapping[str, Callable[[], Exception]] = {
    "reject": lambda: ContentRejected("The sandbox turned the prompt down at once, as the prompt asked."),
    "retired": lambda: ModelRetired("The sandbox says that the model is retired, as the prompt asked."),
    "unavailable": lambda: ModelUnavailable("The sandbox says that it has no such model, as the prompt asked."),
    "unreachable": lambda: ProviderUnreachable("The sandbox plays unreachable, as the prompt asked.", 1.0),
}
"""Words that end ``submit``."""

AT_POLL: Mapping[str, Callable[[], JobFailed]] = {
    "fail": lambda: ProviderFailed(f"The sandbox failed, as the prompt asked; {_OTHERWISE}"),
    "refuse": lambda: ContentRejected(
        f"The sandbox's moderation refused the result, as the prompt asked; {_OTHERWISE}"
    ),
}
"""Words that end an accepted order without a result."""

_PAGE = b"<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>\n"

AT_DOWNLOAD: Mapping[str, Callable[[bytes], bytes]] = {
    "damaged": lambda drawn: drawn[: len(drawn) * 2 // 3],
    "not-a-video": lambda drawn: _PAGE,
    "not-an-image": lambda drawn: _PAGE,
    "empty": lambda drawn: b"",
}
"""Words that spoil the delivery: what becomes of the MP4's or PNG's bytes."""

STALL = "stall"
TIMED = ("slow", "flaky")
"""Words that take seconds: ``slow 20s`` works that long, ``flaky 5s`` cannot be polled that long."""

WORDS = (*AT_SUBMIT, *AT_POLL, *AT_DOWNLOAD, STALL, *TIMED)

_ASIDE = re.compile(r"\[\s*sandbox\s*:([^\]]*)\]", re.IGNORECASE)
_WISH = re.compile(r"([a-z-]+)(?:\s+(\d{1,5}(?:\.\d{1,3})?)\s*s?)?")
_DEFAULT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """The words found: plain ones in order, timed ones with their seconds."""

    words: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


def wishes(prompt: str) -> Wishes:
    """Read the asides of ``prompt``; raises :class:`ProviderFailed` for a word that is none of :data:`WORDS`."""
    words: list[str] = []
    seconds: dict[str, float] = {}
    for text in _asked(prompt):
        word, length = _wish(text)
        if word in TIMED:
            seconds[word] = _DEFAULT_SECONDS if length is None else length
        else:
            words.append(word)
    return Wishes(tuple(words), seconds)


def _asked(prompt: str) -> list[str]:
    asides = ",".join(_ASIDE.findall(prompt)).lower().split(",")
    return [text.strip() for text in asides if text.strip()]


def _wish(text: str) -> tuple[str, float | None]:
    found = _WISH.fullmatch(text)
    if found is None or found[1] not in WORDS:
        raise ProviderFailed(f"The sandbox does not know {text[:40]!r}; it knows: {', '.join(sorted(WORDS))}.")
    return found[1], None if found[2] is None else float(found[2])
