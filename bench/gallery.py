"""The gallery in a real browser: when its first picture is there, and what scrolling past 5,000 items costs.

``python -m bench.gallery [--rows N] [--scroll N]``; it needs Chromium. The peers are the limits a person feels.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.figure import Figure, table
from bench.programs import PYTHON, WORK, Missing, free_port, serving
from bench.seed import seed
from rushes import config
from rushes.studio import Studio

ROWS, SCROLL, WITH_FILES = 100_000, 5_000, 300
FIRST_MS, FRAME_MS = 300, 16.0
_TIMES = 7
_STEP = 400
"""Pixels a frame: a hard flick."""

_FIRST = """
  document.addEventListener('load', event => {
    if (event.target.matches?.('.tile img')) window.first ??= performance.now();
  }, true);
"""
_FRAME = f"""new Promise(done => requestAnimationFrame(() => {{
  scrollBy({{ top: {_STEP}, behavior: 'instant' }});
  requestAnimationFrame(() => done(document.querySelectorAll('.tile').length));
}}))"""


def run(rows: int = ROWS, scroll: int = SCROLL) -> list[Figure]:
    """Fill a library, serve it, and look at it."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise Missing("The gallery's figures need Chromium: apt-get install chromium.")
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        key, port = asyncio.run(_fill(Path(folder), rows)), free_port()
        url = f"http://127.0.0.1:{port}"
        command = [PYTHON, "-m", "rushes", "serve", "--data", folder, "--port", str(port), "--no-worker"]
        with serving(command, f"{url}/healthz", "gallery"), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--enable-precise-memory-info"]
            )
            figures = [_first(browser, url, key, rows), *_scroll(browser, url, key, scroll)]
            browser.close()
    return figures


async def _fill(data: Path, rows: int) -> str:
    """Rows, and the newest with their files; a key to them."""
    async with Studio.open(config.load(data=data)) as studio:
        await seed(studio, "default", rows - WITH_FILES, number=1)
        await seed(studio, "default", WITH_FILES, files=True, number=2)
        return await studio.create_key("default", "bench")


def _open(browser: Browser, url: str, key: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(f"localStorage.setItem('rushes.key', {key!r}); {_FIRST}")
    page.goto(url)
    page.wait_for_function("() => window.first")
    return page


def _first(browser: Browser, url: str, key: str, rows: int) -> Figure:
    """From a browser that has nothing of it yet, every time."""
    times = []
    for _ in range(_TIMES):
        page = _open(browser, url, key)
        times.append(page.evaluate("first"))
        page.context.close()
    middle = statistics.median(times)
    return Figure(
        f"gallery, first picture of {rows:,}",
        f"{middle:.0f} ms",
        f"{FIRST_MS} ms (the limit)",
        FIRST_MS / middle,
        f"at most {FIRST_MS} ms",
        f"median of {_TIMES} cold visits, slowest {max(times):.0f} ms",
    )


def _scroll(browser: Browser, url: str, key: str, items: int) -> list[Figure]:
    page = _open(browser, url, key)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    read: Callable[[], dict[str, float]] = lambda: _metrics(session)  # noqa: E731
    frames, nodes = [], 0
    heap = _heap(session)
    past = 0
    while past < items:
        before = read()
        nodes = max(nodes, page.evaluate(_FRAME))
        frames.append((read()["ScriptDuration"] - before["ScriptDuration"]) * 1000)
        past = page.evaluate("Math.max(0, ...[...document.querySelectorAll('.tile')].map(tile => tile.index))")
    script, grown = statistics.median(frames), _heap(session) - heap
    worst = statistics.quantiles(frames, n=100)[98]
    page.context.close()
    return [
        Figure(
            f"gallery, script a frame, past {items:,} items",
            f"{script:.2f} ms",
            f"{FRAME_MS:.0f} ms (a frame)",
            FRAME_MS / script,
            f"under {FRAME_MS:.0f} ms",
            f"median of {len(frames)} frames of {_STEP} px, 99th percentile {worst:.1f} ms; at most {nodes} tiles",
        ),
        Figure(
            f"gallery, heap grown by {items:,} items",
            f"{grown / 1e6:.1f} MB",
            f"{items * 1024 / 1e6:.1f} MB (1 KiB an item)",
            items * 1024 / max(grown, 1),
            "flat: the items' own text alone",
            f"{grown / items:.0f} bytes an item, after collecting; {heap / 1e6:.1f} MB before",
        ),
    ]


def _metrics(session: Any) -> dict[str, float]:
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}


def _heap(session: Any) -> float:
    session.send("HeapProfiler.collectGarbage")
    return _metrics(session)["JSHeapUsedSize"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.gallery", description="The gallery in a real browser.")
    parser.add_argument("--rows", type=int, default=ROWS, help="videos in the library")
    parser.add_argument("--scroll", type=int, default=SCROLL, help="items to scroll past")
    told = parser.parse_args()
    try:
        print(table(run(told.rows, told.scroll)))
    except Missing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
