"""The sandbox's cost: processor seconds of one core for 8 s at 720 x 1280, against encoding the same frames alone.

``python -m bench.sandbox``
"""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figure import Figure
from rushes.providers.sandbox import film
from rushes.providers.sandbox.ticket import Ticket

PROMPTS = ("ocean waves at dusk", "a bear in the forest", "abstract flow", "a city at night", "snowy mountains")
_TIMES = 3


def run() -> list[Figure]:
    """Each prompt a few times; the median over all of its best times."""
    with tempfile.TemporaryDirectory() as folder, _one_core():
        pairs = [_pair(prompt, Path(folder) / "film.mp4") for prompt in PROMPTS]
    ours, floor = (statistics.median(side) for side in zip(*pairs, strict=True))
    return [
        Figure(
            "sandbox, 8 s of 720 x 1280",
            f"{ours:.2f} s of one core",
            f"{floor:.2f} s (encoding alone)",
            floor / ours,
            "at most 1 s of one core",
            f"median of {len(PROMPTS)} prompts, best of {_TIMES} each; slowest {max(pair[0] for pair in pairs):.2f} s",
        )
    ]


def _pair(prompt: str, to: Path) -> tuple[float, float]:
    ticket = Ticket("pixverse5.5", prompt, 720, 1280, 8, 0.0)
    ours = min(_seconds(lambda: film.draw(ticket, to)) for _ in range(_TIMES))
    held = [(y.copy(), u.copy(), v.copy()) for y, u, v in film.frames(ticket)]
    floor = min(_seconds(lambda: film.write(held, ticket, to)) for _ in range(_TIMES))
    return ours, floor


def _seconds(work: Callable[[], object]) -> float:
    before = _used()
    work()
    return _used() - before


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


if __name__ == "__main__":
    for figure in run():
        print(figure)
