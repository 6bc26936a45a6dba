"""Times as they are typed: so long ago, or a day or moment here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_SPAN = re.compile(r"([1-9]\d{0,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[datetime]):
    """``7d`` (also ``m``, ``h``, ``w``) ago, or ISO 8601, without a zone as it is told here; a day is its midnight."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, in UTC."""
        try:
            return _ago(value) or datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: say 7d, 12h, 30m, 2026-11-01 or 2026-11-01T18:30.", param, ctx)


class Span(click.ParamType[float]):
    """``10m`` (also ``s``, ``h``, ``d``, ``w``): so long, in seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        told = _SPAN.fullmatch(value)
        if told is None:
            self.fail(f"{value!r} is no span of time: say 30s, 10m, 12h or 1d.", param, ctx)
        return float(told[1]) * _SECONDS[told[2]]


def _ago(text: str) -> datetime | None:
    told = _AGO.fullmatch(text)
    return datetime.now(UTC) - timedelta(**{_UNITS[told[2]]: int(told[1])}) if told else None
