"""The process that a model lives in, as a worker sees it: started when it is needed, gone when the worker is.

It holds the other end of a pipe. When the worker ends, however it does, the kernel closes that pipe, and the process
ends itself (see :mod:`.watch`). It ends as well when nothing has been ordered for a while, and gives its memory back.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from rushes.errors import ProviderUnreachable
from rushes.providers.diffusers.spool import Spool

log = logging.getLogger(__name__)

_GRACE_SECONDS = 5.0
_PAUSE_SECONDS = 15.0
"""Until it is started again: one that cannot live must not be started all the time."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a model's process is told."""

    folder: str
    """Of everything that runs here: this model's own is below it."""
    id: str
    pipeline: str
    variant: str | None
    device: str | None
    dtype: str | None
    offload: bool
    idle_seconds: float
    load_seconds: float
    step_seconds: float

    @property
    def spool(self) -> Spool:
        """Where its orders are: the same for every worker that runs the same model in the same way."""
        way = (self.id, self.pipeline, self.variant, self.device, self.dtype, self.offload)
        return Spool(Path(self.folder) / sha256(json.dumps(way).encode()).hexdigest()[:16])

    @property
    def text(self) -> str:
        """It as JSON."""
        return json.dumps(asdict(self))


class Process:
    """One model's process, where this worker is the one that runs it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None

    def ensure(self) -> None:
        """See to it that there is one: ours, or that of another worker on this machine.

        Raises:
            ProviderUnreachable: ours has ended in the midst of it; the next call starts another.
        """
        with self._lock:
            if self._popen is not None and self._popen.poll() is None:
                return
            code = self._popen.returncode if self._popen is not None else 0
            self._forget()
            if code:
                log.error("the process of %s ended (%d)", self._settings.id, code)
                raise ProviderUnreachable(f"The model's process ended ({code}); it is started again.", _PAUSE_SECONDS)
            if not self._settings.spool.is_served:
                self._popen = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        # -c and our own sys.path: nothing of __main__ is imported again, however this program was started.
        code = f"import sys; sys.path[:] = {sys.path!r}; from rushes.providers.diffusers import maker; maker.main()"
        return subprocess.Popen(  # noqa: S603  # our own interpreter and words
            [sys.executable, "-c", code, self._settings.text],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End it, whatever it is at: it notes that this was nobody's fault."""
        with self._lock:
            if self._popen is not None:
                _end(self._popen)
                self._forget()

    def _forget(self) -> None:
        if self._popen is not None and self._popen.stdin:
            self._popen.stdin.close()
        self._popen = None


def _end(popen: subprocess.Popen[bytes]) -> None:
    if popen.stdin:
        popen.stdin.close()
    try:
        popen.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        popen.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # what the kernel itself waits for cannot be killed
            popen.wait(_GRACE_SECONDS)
