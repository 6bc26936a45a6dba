"""How fast a finished video is looked at: facts, preview, thumbnail, last frame; against ffprobe and ffmpeg.

``python -m bench.stills``: an 8 s 720 x 1280 clip at 24 frames a second, H.264 and AAC; ours as the worker
calls it, with the process that isolates it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from PIL import Image, ImageChops

from bench.figure import Figure, table
from rushes.media import isolated, stills

PAIRS = 11
WIDTH, HEIGHT, RATE, FRAMES = 720, 1280, 24, 192
NO_FFMPEG = "There is no ffmpeg or ffprobe to compare with: apt-get install ffmpeg."


class Cost(NamedTuple):
    """Seconds on the clock and the largest process's bytes in memory."""

    seconds: float
    peak: int


def run() -> list[Figure]:
    """Measure; no figures if ffmpeg is missing."""
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        print(NO_FFMPEG, file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as name, asyncio.Runner() as runner:
        folder = Path(name)
        return [
            _compare(runner, _clip(folder / "keys.mp4", 48), "a key frame every 2 s", "≥ 1.5"),
            _compare(runner, _clip(folder / "one.mp4", FRAMES), "one key frame", "—"),
        ]


def _compare(runner: asyncio.Runner, video: Path, what: str, target: str) -> Figure:
    mine, theirs = (video.with_suffix(f".{who}") for who in ("ours", "peer"))
    for folder in (mine, theirs):
        folder.mkdir()
    peers = {name: _peer(video, theirs, threads) for name, threads in (("1 thread", "1"), ("all threads", "0"))}
    costs: dict[str, list[Cost]] = {name: [] for name in ("ours", *peers)}
    _ours(runner, video, mine)  # once for the fork server and the file cache
    for _ in range(PAIRS):
        costs["ours"].append(_ours(runner, video, mine))
        for name, peer in peers.items():
            costs[name].append(peer())
    _same(mine, theirs)
    return _figure(what, target, {name: _median(each) for name, each in costs.items()})


def _figure(what: str, target: str, costs: dict[str, Cost]) -> Figure:
    ours = costs.pop("ours")
    name, peer = min(costs.items(), key=lambda each: each[1].seconds)
    return Figure(
        name=f"stills of an 8 s video, {what}",
        ours=f"{ours.seconds * 1000:.0f} ms, {ours.peak / 1e6:.0f} MB",
        peer=f"{peer.seconds * 1000:.0f} ms, {peer.peak / 1e6:.0f} MB",
        ratio=round(peer.seconds / ours.seconds, 2),
        target=target,
        note=f"ffprobe + one ffmpeg, {name} (the faster); median of {PAIRS}, in turn; largest process",
    )


def _ours(runner: asyncio.Runner, video: Path, folder: Path) -> Cost:
    start = time.perf_counter()
    runner.run(stills(video, folder))
    seconds = time.perf_counter() - start
    return Cost(seconds, runner.run(isolated(_peak_of_stills, video, folder, seconds=60)))


def _peak_of_stills(video: Path, folder: Path) -> int:
    import resource

    from rushes.media.stills import examine

    examine(video, folder)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _peer(video: Path, folder: Path, threads: str) -> Callable[[], Cost]:
    # One ffmpeg, the same file twice. Once for the preview and, split off it, the thumbnail (of the first frame:
    # choosing one with content would cost it more). Once from the end of the *picture*: the accurate seek decodes
    # from the key frame before and hands on only the last frame or two, of which -update keeps the later. -sseof
    # would count from the end of a longer sound and write nothing; so the time comes from ffprobe, which has to run
    # for the facts anyway. JPEG and PNG are about as good and as small as ours.
    probe = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", str(video)]
    scale = "[0:v]split[a][b];[b]scale=480:480:force_original_aspect_ratio=decrease[c]"
    limit = ["-threads", threads]

    def measure() -> Cost:
        start = time.perf_counter()
        facts, peak = _child(probe)
        end = str(float(_picture(facts)["duration"]) - 1.5 / RATE)
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-an", *limit, "-i", str(video)]
        command += ["-an", *limit, "-ss", end, "-i", str(video), "-filter_complex", scale]
        command += ["-map", "[a]", "-frames:v", "1", "-q:v", "3", str(folder / "preview.jpg")]
        command += ["-map", "[c]", "-frames:v", "1", "-q:v", "3", str(folder / "thumbnail.jpg")]
        command += ["-map", "1:v", "-fps_mode", "passthrough", "-update", "1", "-compression_level", "1"]
        _, more = _child([*command, str(folder / "last_frame.png")])
        return Cost(time.perf_counter() - start, max(peak, more))

    return measure


def _picture(facts: bytes) -> dict[str, Any]:
    found: dict[str, Any] = next(s for s in json.loads(facts)["streams"] if s["codec_type"] == "video")
    return found


def _child(command: list[str]) -> tuple[bytes, int]:
    """What it said, and its own peak: ``wait4`` tells that of one child, not of all so far."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed with {process.returncode}")
    return said, usage.ru_maxrss * 1024


def _median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(c.seconds for c in costs), max(c.peak for c in costs))


def _same(mine: Path, theirs: Path) -> None:
    """Nobody is quick by being wrong: both kept the same last frame, and all three files."""
    assert {path.name for path in mine.iterdir()} == {path.name for path in theirs.iterdir()}
    with Image.open(mine / "last_frame.png") as one, Image.open(theirs / "last_frame.png") as two:
        extremes = ImageChops.difference(one.convert("RGB"), two.convert("RGB")).getextrema()
    assert max(high for _, high in extremes) <= 4, extremes  # type: ignore[misc]


def _clip(path: Path, key_every: int) -> Path:
    """A picture with detail that moves, and sound of the same length."""
    field = np.asarray(Image.effect_noise((WIDTH // 4, HEIGHT // 4), 60).resize((WIDTH, HEIGHT)))
    colour = np.stack([field, np.roll(field, 90, 0), np.flipud(field)], axis=-1)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "18", "sc_threshold": "0", "g": str(key_every)}
        stream: Any = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        voice: Any = container.add_stream("aac", rate=48000)
        for number in range(FRAMES):
            moved = np.roll(colour, (number * 3, number * 2), (0, 1))
            moved[40:80, number * 3 : number * 3 + 60] = 255
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(moved), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        _sound(container, voice)
    return path


def _sound(container: Any, stream: Any) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 1024)).astype(np.float32)
    for number in range(FRAMES * 48000 // RATE // 1024):
        frame = av.AudioFrame.from_ndarray(noise, "fltp", "stereo")
        frame.sample_rate, frame.pts = 48000, number * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


if __name__ == "__main__":
    # By its own name: what runs in another process cannot be of __main__.
    from bench.stills import run as measure

    print(table(measure()))
