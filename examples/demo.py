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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Unpack

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from rushes import Client
from rushes.client import Progress as Waiting
from rushes.client import Video, VideoOptions
from rushes.errors import RushesError

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
        url = f"http://127.0.0.1:{arguments.port}"
        with Client(url, key) as client:
            make_three(client)
            show_library(list(client.videos.list()))
        if arguments.once:
            console.print(
                f"The files are in ./{DATA}/media. To serve them: rushes serve --data {DATA}", highlight=False
            )
        else:
            console.print("The same from anywhere, newest first:\n", highlight=False)
            print(f"  curl -H 'Authorization: {key}' {url}/pictoryapis/v1/aistudio/videos\n")
            console.print(f"Serving on {url} until Ctrl-C. The files are in ./{DATA}/media.", highlight=False)
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


def _tell_trouble(lines: IO[str]) -> None:
    """All but the lines that everything goes well: here the videos themselves say that."""
    sys.stderr.writelines(line for line in lines if " INFO " not in line)


def _wait_until_ready(server: subprocess.Popen[str]) -> None:
    assert server.stderr is not None
    for line in server.stderr:
        sys.stderr.write(line)
        if "ready on" in line:
            # What the server says later must be read too, or its pipe fills up.
            threading.Thread(target=_tell_trouble, args=(server.stderr,), daemon=True).start()
            return
    sys.exit(server.wait() or 1)


def make_three(client: Client) -> None:
    """One video from text, one that continues from its last frame, one that extends the second."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress:
        first = make(
            client, progress, "from text", "A lighthouse over a calm sea at sunset, waves rolling in", duration=5
        )
        second = make(
            client,
            progress,
            "from its last frame",
            "Night falls, the stars come out over the water",
            first_frame=first,
            duration=5,
        )
        make(
            client,
            progress,
            "extending that one",
            "Dawn breaks, gold light over the forest on the shore",
            extend=second,
            duration=5,
        )


def make(client: Client, progress: Progress, title: str, prompt: str, **began: Unpack[VideoOptions]) -> Video:
    """Have one video made, and show how far it is."""
    task = progress.add_task(f"{title}: submitted", total=1)

    def show(now: Waiting) -> None:
        progress.update(task, description=f"{title}: waiting for {now.waiting_for}")

    try:
        video = client.videos.generate(prompt, timeout=JOB_SECONDS, on_progress=show, **began)
    except RushesError as error:
        sys.exit(f"{title}: {error.sentence}")
    done = f"{title}: {video.width}x{video.height}, {video.duration:g} s"
    progress.update(task, completed=1, description=done)
    return video


def show_library(videos: list[Video]) -> None:
    """The library as a table."""
    table = Table(title="The library, newest first", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("made", no_wrap=True)
    table.add_column("prompt", ratio=1)
    table.add_column("video", no_wrap=True)
    table.add_column("began with", no_wrap=True)
    for video in videos:
        began = "a frame" if video.first_frame_image_url else "a video" if video.extend_video_url else "text"
        facts = f"{video.width}x{video.height} {video.duration:g}s"
        table.add_row(f"{video.created:%H:%M:%S}", video.prompt, facts, began)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
