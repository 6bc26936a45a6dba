"""``rushes serve``: a small parent that binds the address, starts the processes, and starts again what dies."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any

from rushes.config import Config
from rushes.errors import RushesError, StartError

_START_SECONDS = 60
_STOP_SECONDS = 40
_RESTART_PAUSE = 1.0
_BACKLOG = 2048
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 16 * 2**20

_spawn = multiprocessing.get_context("spawn")


def serve(config: Config, host: str, port: int, processes: int, *, with_worker: bool) -> None:
    """Serve until a signal; return when everything has stopped.

    Raises:
        StartError: the address is taken, or a process could not start.
    """
    asyncio.run(_prepare(config))
    listeners = _listeners(host, port, processes)
    config = _knowing(config, _addresses(listeners[0], host))
    with tempfile.TemporaryDirectory(prefix="rushes-metrics-") as folder:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        _start_all(config, listeners, host, with_worker=with_worker)


def _start_all(config: Config, listeners: list[socket.socket], host: str, *, with_worker: bool) -> None:
    children = [_Child("api", _run_api, (config, listener)) for listener in listeners]
    if config.sandbox_only:
        _say("no provider is configured, so the sandbox draws every video (add [models] to rushes.toml)")
    if with_worker:
        children.append(_Child("worker", run_worker, (config,)))
    _watch(children, _address(listeners[0], host))


async def _prepare(config: Config) -> None:
    """Meet every start error here, once, before any process is started; bring the database up to date."""
    from rushes.fetch import Fetcher
    from rushes.studio import Studio

    Fetcher(config.allow_private_hosts)
    async with Studio.open(config) as studio:
        studio.routes.check()
        await studio.blobs.prove()


def _listeners(host: str, port: int, processes: int) -> list[socket.socket]:
    """A listener for each process. On Linux each has a queue of its own, which the kernel fills evenly; on a shared
    one, whoever wakes first takes most.
    """
    first = _bind(host, port)
    if processes == 1 or sys.platform != "linux":
        return [first] * processes
    # Bound alone first: sharing would let a second server slip onto a port that is taken.
    port = first.getsockname()[1]
    first.close()
    return [_bind(host, port, socket.SO_REUSEPORT) for _ in range(processes)]


def _bind(host: str, port: int, reuse: int = socket.SO_REUSEADDR) -> socket.socket:
    try:
        [family, kind, protocol, _, address], *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        listener = socket.socket(family, kind, protocol)
        for option in {socket.SO_REUSEADDR, reuse}:
            listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise StartError(
            f"The address {host}:{port} cannot be used ({error.strerror or error}); "
            "stop what uses it, or choose another with --host and --port."
        ) from error
    return listener


def _knowing(config: Config, addresses: frozenset[str]) -> Config:
    """The same settings, with the addresses listened on as aliases: a link that names one leads to our own file."""
    return config.model_copy(update={"url_aliases": config.url_aliases | addresses})


def _addresses(listener: socket.socket, host: str) -> frozenset[str]:
    """Where this machine itself reaches the listener."""
    port = listener.getsockname()[1]
    here = {host, "127.0.0.1", "localhost"} if host in ("127.0.0.1", "localhost", "0.0.0.0", "::", "::1") else {host}  # noqa: S104
    return frozenset(f"http://[{each}]:{port}" if ":" in each else f"http://{each}:{port}" for each in here)


def _address(listener: socket.socket, host: str) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass
class _Child:
    """One process of a kind, started again when it dies."""

    name: str
    target: Callable[..., None]
    arguments: tuple[Any, ...]
    process: SpawnProcess | None = None
    ready: Connection | None = None

    def start(self) -> None:
        self.ready, theirs = _spawn.Pipe(duplex=False)
        arguments = (*self.arguments, theirs)
        self.process = _spawn.Process(target=self.target, args=arguments, name=f"rushes {self.name}")
        self.process.start()
        theirs.close()

    def wait_until_ready(self) -> None:
        try:
            if self.ready is None or not self.ready.poll(_START_SECONDS):
                raise EOFError
            self.ready.recv()
        except EOFError as error:
            raise StartError(f"The {self.name} process did not start; what it printed above says why.") from error

    def restart_if_dead(self) -> None:
        if self.process is not None and not self.process.is_alive():
            _say(f"the {self.name} process died ({self.process.exitcode}); starting it again")
            time.sleep(_RESTART_PAUSE)
            self.start()


class _Stop(BaseException):
    """A signal asked us to stop."""


def _watch(children: list[_Child], address: str) -> None:
    """Start the children, say so, and keep them alive until a signal."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _raise_stop)
        for child in children:
            child.start()
        for child in children:
            child.wait_until_ready()
        _say(f"ready on {address}")
        while True:
            wait([child.process.sentinel for child in children if child.process])
            for child in children:
                child.restart_if_dead()
    except _Stop:
        pass
    finally:
        _end([child.process for child in children if child.process])


def _raise_stop(number: int, frame: FrameType | None) -> None:
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    raise _Stop


def _end(processes: list[SpawnProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _say(sentence: str) -> None:
    print(f"rushes: {sentence}", file=sys.stderr, flush=True)  # noqa: T201


def _run_api(config: Config, listener: socket.socket, ready: Connection) -> None:
    """An API process: serves on the parent's listener until a signal, or until the parent is gone."""
    import uvicorn

    from rushes import logs, tracing
    from rushes.api import create_app
    from rushes.api.protocol import protocol

    logs.to_stderr(config.log_format)
    tracing.start()
    _keep_memory()
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(config),
            loop="uvloop",
            http=protocol(config),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=10,
        )
    )

    async def serve_it() -> None:
        _when_parent_is_gone(lambda: setattr(server, "should_exit", True))
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started and not serving.done():  # noqa: ASYNC110  (uvicorn has no event for it)
            await asyncio.sleep(0.01)
        if server.started:
            ready.send(True)
        await serving

    _run(serve_it())


def _keep_memory() -> None:
    """A page is some 100 KB: by default glibc gives such memory back after each answer, and faults it in again for
    the next. Costs a few megabytes, saves a fifth of the time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            mallopt(parameter, _KEPT_BYTES)


def run_worker(config: Config, ready: Connection | None = None) -> None:
    """A worker process: works until a signal, or until the parent that started it is gone."""
    from rushes import logs, metrics, tracing
    from rushes.studio import Studio
    from rushes.work.loop import work

    logs.to_stderr(config.log_format)
    tracing.start()

    async def work_it() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        _when_parent_is_gone(stop.set)
        async with Studio.open(config) as studio:
            studio.routes.check()
            await studio.blobs.prove()
            if ready is not None:
                ready.send(True)
            with metrics.shown(config.worker_metrics if ready is None else None):
                await work(studio, stop)

    _run(work_it())


def _when_parent_is_gone(stop: Callable[[], None]) -> None:
    """A parent that was killed cannot tell its children to stop: they see its end of a pipe close."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        loop, sentinel = asyncio.get_running_loop(), parent.sentinel

        def gone() -> None:
            loop.remove_reader(sentinel)
            stop()

        loop.add_reader(sentinel, gone)


def _run(main: Coroutine[Any, Any, None]) -> None:
    import uvloop

    try:
        uvloop.run(main)
    except RushesError as error:
        _say(error.sentence)
        sys.exit(1)
    except KeyboardInterrupt:
        # uvicorn repeats the signal it was stopped by, once it has stopped.
        pass
