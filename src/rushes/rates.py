"""How often a key may ask: a token bucket a key, in this process's memory."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

_SECOND = 10**9
_MOST_KEYS = 10_000


class Rates:
    """Lets each key through ``per_second`` times in the long run, and ``burst`` times (at least once) at a stretch.

    Over any window that is at most ``burst + per_second * window`` times, as long as no more than ``most_keys`` ask
    meanwhile: of more, those that asked longest ago are forgotten, and start afresh.
    """

    def __init__(
        self,
        per_second: float,
        burst: float,
        clock: Callable[[], int] = time.monotonic_ns,
        most_keys: int = _MOST_KEYS,
    ) -> None:
        # In whole nanoseconds: who waits exactly as long as told must not be a rounding error early.
        self._token = math.ceil(_SECOND / per_second)
        self._bucket = int(max(burst, 1) * self._token)
        self._clock = clock
        self._most_keys = most_keys
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def take(self, key_hash: str) -> float | None:
        """Let one request through and return ``None``; or do not, and return the seconds until one would be."""
        now = self._clock()
        full_at = max(self._full_at.get(key_hash, now), now) + self._token
        early = full_at - self._bucket - now
        if early > 0:
            return early / _SECOND
        self._keep(key_hash, full_at)
        return None

    def _keep(self, key_hash: str, full_at: int) -> None:
        # When a bucket will be full again says all about it; one that is full is as good as forgotten.
        self._full_at[key_hash] = full_at
        self._full_at.move_to_end(key_hash)
        if len(self._full_at) > self._most_keys:
            self._full_at.popitem(last=False)
