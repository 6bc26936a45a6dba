"""The process that forks a child for each file: it has the libraries loaded, so a fork costs milliseconds.

It has one thread (so forking is safe), opens no media file, kills what it is told to, and says how each child
ended. It ends, with all its children, when the process that started it closes the control socket: also by
``kill -9``, because the kernel closes sockets then. (PR_SET_PDEATHSIG would not do for that step: it fires when
the *thread* that started us ends. From us to the children it is right, and covers our own ``kill -9``.)

Not multiprocessing's fork server: its children import the caller's ``__main__`` again (here the console script,
or pytest), it is one for the whole program, and starting through it blocks the event loop.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import pickle
import resource
import select
import signal
import socket
import struct
import sys
import traceback
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from math import ceil
from typing import NoReturn

from rushes.errors import RushesError, StorageFull, Unreadable

MESSAGE = struct.Struct("=cQ")
"""On the control socket: FORK with the child's socket attached, or KILL; and the child's number."""
FORK, KILL = b"+", b"-"
STATUS = struct.Struct("=i")
"""On the child's socket, after its answer and its death: the status ``waitpid`` gave."""

PRELOADED = (
    "av",
    "av.subtitles.stream",
    "PIL.ImageOps",
    "PIL.ImageStat",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.WebPImagePlugin",
    "rushes.media.picture",
    "rushes.media.stills",
)
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C and systemd's SIGTERM go to everybody; our owner finishes its jobs and then closes the socket."""
NICENESS = 5
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Call:
    """What a child is to do, within what limits. ``work``: (function, args) as a pickle, found along ``path``."""

    work: bytes
    seconds: float
    memory: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: a value, or an error of ours."""

    value: object = None
    error: RushesError | None = None


def serve(control_fd: int) -> NoReturn:
    """Fork on request until the control socket closes."""
    _ignore_signals()
    _preload()
    _Server(socket.socket(fileno=control_fd)).run()
    os._exit(0)


def _ignore_signals() -> None:
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)


def _preload() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # what is loaded stays shared with the children


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, tuple[int, socket.socket]] = {}  # pid: number, socket
        self._wake, wakes = socket.socketpair()
        self._wake.setblocking(False)
        wakes.setblocking(False)
        self._wakes = wakes
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes.fileno())

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        obeyed = True
        while obeyed:
            ready = {fd for fd, _ in poll.poll()}
            if self._wake.fileno() in ready:
                self._wake.recv(4096)
                self._reap()
            if self._control.fileno() in ready:
                obeyed = self._obey()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _obey(self) -> bool:
        """Do one thing we were told; False when there is nobody left to tell us."""
        try:
            # Exactly one message: ancillary descriptors never cross into the next one's bytes.
            message, fds, _, _ = socket.recv_fds(self._control, MESSAGE.size, 1)
        except ConnectionResetError:
            return False
        if not message:
            return False
        order, number = MESSAGE.unpack(message)
        if order == FORK:
            self._fork(number, socket.socket(fileno=fds[0]))
        else:
            self._kill(number)
        return True

    def _fork(self, number: int, connection: socket.socket) -> None:
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # no room for a process; closing without a status says that it is not the file's fault
            connection.close()
            return
        if pid == 0:
            self._become_child(connection, server)
        self._children[pid] = number, connection

    def _become_child(self, connection: socket.socket, server: int) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for held in (self._control, self._wake, self._wakes, *(s for _, s in self._children.values())):
                held.close()
            _work(connection, server)
        except BaseException:  # noqa: BLE001  # nothing may climb into the server's loop; the status tells
            traceback.print_exc()
            os._exit(70)
        os._exit(0)

    def _kill(self, number: int) -> None:
        for pid, (each, _) in self._children.items():
            if each == number:
                os.kill(pid, signal.SIGKILL)  # not reaped yet, so the pid is still its own

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _, connection = self._children.pop(pid)
            with connection:
                _report(connection, status)


def _report(connection: socket.socket, status: int) -> None:
    with contextlib.suppress(OSError):  # who asked has gone away
        connection.send(STATUS.pack(status), socket.MSG_DONTWAIT)


def _work(connection: socket.socket, server: int) -> None:
    _die_with(server)
    with connection.makefile("rb") as file:
        call: Call = pickle.load(file)  # noqa: S301  # from our owner, over a socket it made
    _limit(call)
    sys.path[:] = call.path
    connection.sendall(pickle.dumps(_outcome(call.work)))


def _die_with(server: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # it died before we asked
        os._exit(70)


def _limit(call: Call) -> None:
    os.nice(NICENESS)  # an API beside us stays quick
    seconds = ceil(call.seconds) + 1  # the clock on the wall comes first; this is for when nobody watches it
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, seconds)
    if sys.platform == "linux":  # macOS refuses this one
        _lower(resource.RLIMIT_AS, call.memory)


def _lower(kind: int, to: int) -> None:
    _, hard = resource.getrlimit(kind)
    to = to if hard == resource.RLIM_INFINITY else min(to, hard)
    resource.setrlimit(kind, (to, to if kind != resource.RLIMIT_CPU else hard))


def _outcome(work: bytes) -> Outcome:
    try:
        function, args = pickle.loads(work)  # noqa: S301  # as above
        return Outcome(value=function(*args))
    except RushesError as error:
        return Outcome(error=error)
    except MemoryError:
        return Outcome(error=Unreadable("Reading the file takes more memory than it may."))
    except Exception as error:  # noqa: BLE001  # libraries raise anything at a hostile file; it must not end as a crash
        return Outcome(error=_ours(error))


def _ours(error: Exception) -> RushesError:
    if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
        return StorageFull("The disk is full where media files are made; make room, and waiting jobs go on.")
    # What a library says may name a path of this machine, and this sentence goes out to clients.
    ours = Unreadable(f"Reading the file failed ({type(error).__name__}).")
    ours.add_note("".join(traceback.format_exception(error)))
    return ours
