"""A first look: start a server, make three videos through its HTTP API, show the library.

The server is the real one, on SQLite and a local folder (``./rushes-demo``); the videos are drawn by the built-in
sandbox, so there is no key to buy and nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

DATA = "rushes-demo"
RUSHES = [sys.executable, "-m", "rushes"]
JOB_SECONDS = 120

console = Console()


def main() -> int:
    """Run the demo; the exit status."""
    arguments = _arguments()
    with serving(arguments.port) as server:
        key = subprocess.run(
            [*RUSHES, "keys", "create", "--data", DATA, "--label", "demo"], capture_output=True, text=True, check=True
        ).stdout.strip()
        url = f"http://127.0.0.1:{arguments.port}/pictoryapis/v1"
        with httpx2.Client(base_url=url, headers={"Authorization": key}, trust_env=False) as api:
            make_three(api)
            show_library(api.get("/aistudio/videos").raise_for_status().json()["items"])
        console.print("The same from anywhere, newest first:\n", highlight=False)
        print(f"  curl -H 'Authorization: {key}' {url}/aistudio/videos\n")
        if not arguments.once:
            console.print(
                f"Serving on http://127.0.0.1:{arguments.port} until Ctrl-C. The files are in ./{DATA}/media."
            )
            server.wait()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make three videos with the sandbox and show the library.")
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--once", action="store_true", help="end when the library has been shown")
    return parser.parse_args()


@contextmanager
def serving(port: int) -> Iterator[subprocess.Popen[str]]:
    """A running ``rushes serve``, ready; it ends with the block."""
    server = subprocess.Popen(
        [*RUSHES, "serve", "--data", DATA, "--port", str(port)], stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_until_ready(server)
        yield server
    except KeyboardInterrupt:
        console.print("\nstopping …")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def _wait_until_ready(server: subprocess.Popen[str]) -> None:
    assert server.stderr is not None
    for line in server.stderr:
        sys.stderr.write(line)
        if "ready on" in line:
            # What the server says later must be read too, or its pipe fills up.
            threading.Thread(target=lambda: sys.stderr.writelines(server.stderr or []), daemon=True).start()
            return
    sys.exit(server.wait() or 1)


def make_three(api: httpx2.Client) -> None:
    """One video from text, one that continues from its last frame, one that extends the second."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress:
        first = make(api, progress, "from text", prompt="A lighthouse over a calm sea at sunset, waves rolling in")
        second = make(
            api,
            progress,
            "from its last frame",
            prompt="Night falls, the stars come out over the water",
            firstFrameImageUrl=first["lastFrameImageUrl"],
        )
        make(
            api,
            progress,
            "extending that one",
            prompt="Dawn breaks, gold light over the forest on the shore",
            extendVideoUrl=second["url"],
        )


def make(api: httpx2.Client, progress: Progress, title: str, **request: Any) -> dict[str, Any]:
    """Submit a request and wait for its video; the finished job's facts."""
    task = progress.add_task(f"{title}: submitted", total=1)
    body = {"model": "pixverse5.5", "aspectRatio": "16:9", "duration": "5s", **request}
    job = api.post("/aistudio/videos", json=body).raise_for_status().json()["data"]["jobId"]
    end = time.monotonic() + JOB_SECONDS
    while time.monotonic() < end:
        data: dict[str, Any] = api.get(f"/jobs/{job}").raise_for_status().json()["data"]
        progress.update(task, description=f"{title}: {data['status']}")
        if data["status"] == "completed":
            progress.update(
                task, completed=1, description=f"{title}: {data['width']}x{data['height']}, {data['duration']}"
            )
            return data
        if data["status"] == "failed":
            sys.exit(f"The job failed: {data['error_code']}: {data['error_message']}")
        time.sleep(0.1)
    sys.exit(f"Job {job} took longer than {JOB_SECONDS} seconds; is the machine very busy?")


def show_library(items: list[dict[str, Any]]) -> None:
    """The library as a table."""
    table = Table(title="The library, newest first", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("made", no_wrap=True)
    table.add_column("prompt", ratio=1)
    table.add_column("video", no_wrap=True)
    table.add_column("began with", no_wrap=True)
    for item in items:
        began = "a frame" if "firstFrameImageUrl" in item else "a video" if "extendVideoUrl" in item else "text"
        video = f"{item['width']}x{item['height']} {item['duration']}"
        table.add_row(item["createdDate"][11:19], item["prompt"], video, began)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
