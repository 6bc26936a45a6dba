"""Run a function on a hostile file in a process of its own, which may crash, hang or swell and not hurt us.

    we (asyncio)  ──"fork one; its socket"──▶  fork server  ──fork──▶  child: limits, function, answer
                  ◀───────────── answer, then the child's exit status ─────────────┘

It stops crashes, hangs and bombs, not code that runs as our own user: it is a bulkhead, not a jail.
"""

from __future__ import annotations

import array
import asyncio
import atexit
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar, TypeVarTuple, cast
from weakref import WeakKeyDictionary

from rushes.errors import Unavailable, Unreadable
from rushes.media.forkserver import FORK, IGNORED, KILL, MESSAGE, STATUS, Call, Outcome

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

GIB = 1 << 30

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def isolated(function: Callable[[*Ts], T], *args: *Ts, seconds: float, memory: int = 2 * GIB) -> T:
    """``function(*args)`` in a process that may use ``seconds`` of time and ``memory`` bytes of address space.

    ``function`` is of a module that is not ``__main__``; arguments and result can be pickled. A RushesError it
    raises comes back as itself; a full disk as ``StorageFull``; a crash, a limit or any other exception as
    ``Unreadable``; ``Unavailable`` if no process could be had. However this ends, also by cancellation, the
    process is dead and reaped by then.
    """
    async with _turn():
        return await _run(function, args, seconds, memory)


def _turn() -> asyncio.Semaphore:
    """No more at once than there are processors: the others wait here, and their time has not begun."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(os.cpu_count() or 1))


async def _run(function: Callable[[*Ts], T], args: tuple[*Ts], seconds: float, memory: int) -> T:
    request = pickle.dumps(Call(pickle.dumps((function, args)), seconds, memory, tuple(sys.path)))
    child = _Child()
    try:
        answer = await _ask(child, request, seconds)
    finally:
        await child.end()
    return cast("T", _open(answer))


async def _ask(child: _Child, request: bytes, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            await child.send(request)
            return await child.rest()
    except TimeoutError:
        raise Unreadable(f"Reading the file took longer than {seconds:g} seconds.") from None


def _open(answer: bytes) -> object:
    if len(answer) < STATUS.size:
        raise Unavailable("There was no process to read the file with, or it was killed from outside; try again.")
    body, (status,) = answer[: -STATUS.size], STATUS.unpack(answer[-STATUS.size :])
    if status or not body:
        raise Unreadable(_cause(os.waitstatus_to_exitcode(status)))
    outcome: Outcome = pickle.loads(body)  # noqa: S301  # written by our own child, as our own user
    if outcome.error:
        raise outcome.error
    return outcome.value


def _cause(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "Reading the file took too much processor time."
    if code < 0:
        return f"The file crashed its reader ({signal.Signals(-code).name})."
    return f"The file's reader stopped without an answer (exit status {code})."


class _Child:
    """Our end of one forked child. It is gone once ``rest`` or ``end`` has returned."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        self._over = False
        with theirs:
            self._number = _server.fork(theirs)

    async def send(self, request: bytes) -> None:
        # A child that died before reading has a status for us: rest() reports it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await asyncio.get_running_loop().sock_sendall(self._socket, request)

    async def rest(self) -> bytes:
        """Everything to the end of file: the server closes the last copy when it has reaped the child."""
        loop, parts = asyncio.get_running_loop(), []
        while part := await self._receive(loop):
            parts.append(part)
        self._over = True
        return b"".join(parts)

    async def _receive(self, loop: asyncio.AbstractEventLoop) -> bytes:
        try:
            return await loop.sock_recv(self._socket, 65536)
        except ConnectionResetError:  # it died with our request unread; what it had to say has been read
            return b""

    async def end(self) -> None:
        """Kill it if it still runs, and wait until it is reaped: its files are then nobody's."""
        try:
            if not self._over:
                _server.kill(self._number)
                await self.rest()
        finally:
            self._socket.close()


class _Server:
    """This process's fork server: started by the first call, anew if it was killed, not shared over a fork."""

    _process: subprocess.Popen[bytes] | None
    _control: socket.socket | None

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._process = self._control = None
        self._forked = 0

    def fork(self, theirs: socket.socket) -> int:
        with self._lock:
            self._forked += 1
            try:
                self._send_fork(theirs)
            except OSError:  # it was killed; a new one serves this call and those after it
                self._stop()
                self._send_fork(theirs)
            return self._forked

    def _send_fork(self, theirs: socket.socket) -> None:
        fds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))]
        control = self._control or self._start()
        control.sendmsg([MESSAGE.pack(FORK, self._forked)], fds)

    def kill(self, number: int) -> None:
        with self._lock, contextlib.suppress(OSError):  # a dead server has taken its children with it
            if self._control:
                self._control.sendall(MESSAGE.pack(KILL, number))

    def _start(self) -> socket.socket:
        # -c and our own sys.path: nothing of __main__ is imported again, however this program was started.
        ours, theirs = socket.socketpair()
        fd = theirs.fileno()
        code = f"import sys; sys.path[:] = {sys.path!r}; from rushes.media.forkserver import serve; serve({fd})"
        with theirs, _signals_held():
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and words
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[fd],
            )
        self._control = ours
        return ours

    def _stop(self) -> None:
        """Closing our end is the order to end; it also comes by itself however this process dies."""
        if self._control:
            self._control.close()
        if self._process:
            self._process.wait()
        self._control = self._process = None

    def stop(self) -> None:
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """In a forked copy of this process: the server stays the original's, and ends with the original."""
        if self._control:
            self._control.close()
        if self._process:
            self._process.returncode = 0  # not ours to wait for
        self._begin()


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """What is started meanwhile is deaf to what it will ignore, before it can say so: Ctrl-C prints no trace of it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_server = _Server()
atexit.register(_server.stop)
os.register_at_fork(after_in_child=_server.forget)
