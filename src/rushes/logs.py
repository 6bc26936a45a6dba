"""The log: one line an event on stderr, for people or for programs, with what it is about.

``about`` says it once for all that a task logs from there on: the request, the job, the model, the provider.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

from structlog.contextvars import bind_contextvars, get_contextvars, merge_contextvars
from structlog.processors import JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name

from rushes import ids

Form = Literal["text", "json"]

REQUEST_ID = re.compile(rb"(?!%b)[A-Za-z0-9][A-Za-z0-9._:-]{0,63}" % ids.KEY_PREFIX.encode())
"""What a request may call itself: nothing that breaks a line, a header or a search, and no key."""
_SECRET = re.compile(rf"({ids.KEY_PREFIX}|signature(?:=|%3D))[\w-]+", re.IGNORECASE)
"""A key, or a link's signature, which a client may have put where it does not belong: into a path."""
_HEAD = ("timestamp", "level", "logger", "event", "exception")


def to_stderr(form: Form = "text") -> None:
    """Let everything of this process be logged so, the libraries' lines too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(form))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _formatter(form: Form) -> ProcessorFormatter:
    stamp = TimeStamper("iso", utc=True)
    render = _line if form == "text" else JSONRenderer(serializer=_json)
    return ProcessorFormatter(
        foreign_pre_chain=[merge_contextvars, ExtraAdder(), add_logger_name, add_log_level, stamp],
        processors=[ProcessorFormatter.remove_processors_meta, format_exc_info, _redact, render],
    )


def _redact(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redacted(value)
    return event


def redacted(text: str) -> str:
    """A text without what opens something."""
    return _SECRET.sub(r"\1…", text)


def _line(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """Time, level and origin, what happened, and what else it is about."""
    others = ((name, str(value)) for name, value in event.items() if name not in _HEAD)
    about = " ".join(f"{name}={_word(value)}" for name, value in others if value not in event["event"])
    line = f"{event['timestamp']} {event['level'].upper()} {event['logger']}: {_shown(event['event'])}"
    return "\n".join(filter(None, [f"{line} [{about}]" if about else line, event.get("exception")]))


def _shown(text: str) -> str:
    """On one line, and without what a terminal would obey: a stranger may have a part in it."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _word(value: str) -> str:
    text = _shown(value)
    return text if text and not re.search(r'[\s"\[\]=]', text) else json.dumps(text, ensure_ascii=False)


def _json(event: object, **options: Any) -> str:
    return json.dumps(event, default=str)


def about(**what: object) -> None:
    """Name what this task works on, in every line it logs from now on."""
    bind_contextvars(**{name: value for name, value in what.items() if value})


def here() -> Mapping[str, Any]:
    """What this task works on."""
    return get_contextvars()
