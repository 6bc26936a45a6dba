"""What ends a model's process from within, in a thread of its own: its worker is gone, or it stands still."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from typing import NoReturn

from rushes.errors import ProviderFailed
from rushes.providers.diffusers.spool import Entry

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_STANDSTILL = 75


class Watch:
    """Looks at the worker's end of our standard input, and at the clock."""

    def __init__(self, stdin: int = 0) -> None:
        self._stdin = stdin
        self._entry: Entry | None = None
        self._due: float | None = None
        self._what = ""

    def begin(self) -> None:
        """From now on, for as long as the process lives."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def guard(self, entry: Entry) -> None:
        """This order is at work."""
        self._entry = entry

    def wait(self) -> None:
        """Nothing is expected for now."""
        self._due = None

    def expect(self, seconds: float, what: str) -> None:
        """Something has to happen within so many seconds; ``what`` takes longer otherwise."""
        self._what, self._due = f"{what} took longer than {seconds:g} seconds", time.monotonic() + seconds

    def rest(self) -> None:
        """No order is at work."""
        self._entry = self._due = None

    def _run(self) -> NoReturn:
        while True:
            if self._is_alone():
                self._leave()
            due = self._due
            if due is not None and time.monotonic() > due:
                self._give_up()

    def _is_alone(self) -> bool:
        ready, _, _ = select.select([self._stdin], [], [], _LOOK_SECONDS)
        return bool(ready) and not os.read(self._stdin, 1)

    def _leave(self) -> NoReturn:
        if self._entry is not None:
            self._entry.forgive()
        os._exit(0)

    def _give_up(self) -> NoReturn:
        log.error("%s: this process ends", self._what)
        if self._entry is not None:
            self._entry.end(ProviderFailed(f"{self._what}, and was given up. The server's log may say more."))
        os._exit(_STANDSTILL)
