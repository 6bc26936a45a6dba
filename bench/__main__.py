"""All the figures in one table: ``python -m bench``, or ``make bench``. It is kept in ``bench/RESULTS.md``."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import gallery, jobs, list_page, media, pull, sandbox, search, start, stills, turns, walk
from bench.figure import table
from bench.programs import HERE, Missing, need


def main() -> None:
    """Measure everything, one thing after the other: they would be in each other's way."""
    try:
        need("nginx", "wrk", "ffmpeg", "ffprobe")
        # What measures memory goes first: a child of a parent that has grown begins as large as it.
        figures = [
            figure
            for part in (stills, sandbox, start, walk, pull, list_page, media, search, jobs, turns, gallery)
            for figure in part.run()
        ]
    except Missing as error:
        sys.exit(str(error))
    text = f"{_machine()}\n\n{table(figures)}\n"
    (HERE / "RESULTS.md").write_text(f"# Measured\n\n{text}")
    print(text)


def _machine() -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return f"{os.cpu_count()} cores of {_processor()}, {platform.system()}, {python}, {today}."


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
