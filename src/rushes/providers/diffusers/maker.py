"""The process of a model: makes the orders of its folder, one at a time, until there are none for a while."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rushes.errors import Cancelled, JobFailed, ProviderFailed, ProviderUnreachable
from rushes.providers.diffusers.delivery import deliver
from rushes.providers.diffusers.process import Settings
from rushes.providers.diffusers.spool import Entry, Spool, locked
from rushes.providers.diffusers.ticket import Ticket
from rushes.providers.diffusers.watch import Watch

log = logging.getLogger(__name__)

_TRIES = 2
_NICENESS = 5
_LOOK_SECONDS = 0.1


def main() -> None:
    """Serve the model that the settings on the command line name."""
    import json

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings(**json.loads(sys.argv[1]))
    # Ctrl-C and systemd's SIGTERM go to everybody; our worker finishes its jobs and then closes the pipe.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)  # an API beside us stays quick
    with settings.spool.served() as ours:
        if ours:
            watch = Watch()
            watch.begin()
            Maker(settings, watch).run()


class _MemoryShort(ProviderFailed):
    """It did not fit: what is left of the attempt goes with this process."""


class Maker:
    """Loads the model when the first order comes, and keeps it."""

    def __init__(self, settings: Settings, watch: Watch) -> None:
        self._settings, self._watch = settings, watch
        self._spool: Spool = settings.spool
        self._model: object = None

    def run(self) -> None:
        """Make what is ordered."""
        idle_since = time.monotonic()
        self._spool.sweep()
        while True:
            if entries := self._spool.open:
                if not self._serve(entries[0]):
                    return
                idle_since = time.monotonic()
                self._spool.sweep()
            elif time.monotonic() - idle_since >= self._settings.idle_seconds:
                return
            time.sleep(_LOOK_SECONDS)  # also between two orders: whoever waits for the device gets its turn

    def _serve(self, entry: Entry) -> bool:
        """One order to its end; whether this process can go on."""
        if entry.starts >= _TRIES:
            entry.end(_crashed())
            return True
        entry.start()
        self._watch.guard(entry)
        try:
            self._make(entry)
        except ProviderUnreachable as error:
            entry.forgive()
            entry.end(error)
        except _MemoryShort as error:
            entry.end(ProviderFailed(error.sentence))
            return False
        except JobFailed as error:
            log.warning("job %s: %s", entry.ticket.job_id, error.sentence)
            entry.end(error)
        except Exception as error:  # whatever a library raises: the order ends, and the log says why
            log.exception("an order failed")
            entry.end(ProviderFailed(f"The model failed ({type(error).__name__}); the server's log says why."))
        else:
            entry.end()
        finally:
            self._watch.rest()
        return True

    def _make(self, entry: Entry) -> None:
        from rushes.providers.diffusers import pipelines

        self._watch.expect(self._settings.load_seconds, "Loading the model")
        ticket, device = entry.ticket, pipelines.device(self._settings.device)
        with self._turn(device), _told_if_short(ticket, device):
            if self._model is None:
                self._model = pipelines.load(self._settings, device)
            on_step = self._stepping(entry)
            on_step(0.0)
            made = pipelines.generate(self._model, ticket, on_step)
            deliver(made, ticket, entry.result)

    @contextmanager
    def _turn(self, device: str) -> Iterator[None]:
        """One generation at a time on a device, whichever model's."""
        self._watch.wait()
        with locked(Path(self._settings.folder) / f"turn-{device}", wait=True):
            self._watch.expect(self._settings.load_seconds, "Loading the model")
            yield

    def _stepping(self, entry: Entry) -> Callable[[float], None]:
        def on_step(share: float) -> None:
            if entry.is_cancelled:
                raise Cancelled("It was cancelled.")
            entry.reach(share)
            self._watch.expect(self._settings.step_seconds, "A step of the model")

        return on_step


def _crashed() -> ProviderFailed:
    return ProviderFailed(
        f"The model's process ended {_TRIES} times in the midst of it, mostly for want of memory (the system's log "
        "says so). Set offload = true or a smaller dtype for it, or ask for a smaller or shorter one."
    )


@contextmanager
def _told_if_short(ticket: Ticket, device: str) -> Iterator[None]:
    from rushes.providers.diffusers import pipelines

    try:
        yield
    except Exception as error:  # out of memory is told as such, whatever class it comes in; all else goes on up
        if not pipelines.is_want_of_memory(error):
            raise
        log.exception("out of memory")
        raise _MemoryShort(
            f"The memory of {device} does not suffice for {ticket.frames} frames of {ticket.width} x {ticket.height}: "
            "set offload = true or a smaller dtype for the model, or ask for a smaller or shorter one."
        ) from None
