"""wrk: so many connections asking as fast as they are answered."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.programs import HERE, Headers, tool

CONNECTIONS = 32
_SCRIPT = HERE / "wrk.lua"
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class Load(NamedTuple):
    """What was answered: requests a second, and the 99th percentile in milliseconds."""

    rate: float
    p99: float


class Target(NamedTuple):
    """A server and the paths it is asked for, in no order: a file with one on each line."""

    url: str
    paths: Path
    headers: Headers = ()


def load(target: Target, seconds: int) -> Load:
    """Ask for that long. An answer that is not 200 or a broken connection is an error, not a figure."""
    headers = [part for name, value in target.headers for part in ("-H", f"{name}: {value}")]
    command = [tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", *headers]
    command += ["-s", str(_SCRIPT), target.url, "--", str(target.paths)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{target.url} did not answer every request:\n{said}")
    return Load(float(_found(r"Requests/sec:\s+([\d.]+)", said)[0]), _milliseconds(said))


def median(loads: Sequence[Load]) -> Load:
    """The median of each."""
    return Load(statistics.median(load.rate for load in loads), statistics.median(load.p99 for load in loads))


def _milliseconds(said: str) -> float:
    number, unit = _found(r"99%\s+([\d.]+)(us|ms|s|m)\b", said)
    return float(number) * _UNITS[unit]


def _found(pattern: str, said: str) -> tuple[str, ...]:
    match = re.search(pattern, said)
    if match is None:
        raise RuntimeError(f"wrk said nothing of {pattern}:\n{said}")
    return match.groups()
