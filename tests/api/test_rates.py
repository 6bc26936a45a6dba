"""How often a key may ask: any order of questions and pauses, by a clock that the test holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rushes.rates import Rates
from tests.conftest import serving

SECOND = 10**9

rates = st.floats(0.01, 10_000)
bursts = st.floats(1, 50)
pauses = st.lists(st.integers(0, 3 * SECOND), max_size=200)


class Clock:
    """Nanoseconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += math.ceil(seconds * SECOND)


def let_through(limit: Rates, clock: Clock, pauses: Sequence[int]) -> list[int]:
    """When a client was let through that asked after each pause."""
    moments = []
    for pause in pauses:
        clock.now += pause
        if limit.take("a") is None:
            moments.append(clock.now)
    return moments


@given(rates, bursts, pauses)
def test_no_window_holds_more_than_the_burst_and_the_rate_allow(rate: float, burst: float, pauses: list[int]) -> None:
    clock = Clock()
    moments = let_through(Rates(rate, burst, clock), clock, pauses)
    for first, start in enumerate(moments):
        for last in range(first, len(moments)):
            window = (moments[last] - start) / SECOND
            assert last - first + 1 <= burst + rate * window + 1e-6


@given(rates, bursts, pauses)
def test_whoever_waits_as_told_is_let_through(rate: float, burst: float, pauses: list[int]) -> None:
    clock = Clock()
    limit = Rates(rate, burst, clock)
    for pause in pauses:
        clock.now += pause
        wait = limit.take("a")
        if wait is not None:
            assert 0 < wait <= 1 / rate + 1e-6
            clock.wait(wait)
            assert limit.take("a") is None


@given(rates, bursts)
def test_whoever_has_not_asked_for_long_has_the_whole_burst_and_no_more(rate: float, burst: float) -> None:
    clock = Clock()
    limit = Rates(rate, burst, clock)
    for _ in range(2):
        taken = [limit.take("a") for _ in range(60)]
        assert taken == [None] * int(burst) + [taken[-1]] * (60 - int(burst))
        clock.wait((burst + 1) / rate + 1)


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    limit = Rates(2, 1, clock)
    assert limit.take("a") is None
    assert [limit.take("a") for _ in range(1000)] == [0.5] * 1000
    clock.wait(0.5)
    assert limit.take("a") is None


def test_a_burst_of_less_than_one_is_one() -> None:
    assert Rates(0.1, 0.1, Clock()).take("a") is None


def test_each_key_has_its_own() -> None:
    limit = Rates(1, 1, Clock())
    assert [limit.take("a"), limit.take("b")] == [None, None]
    assert [limit.take("a"), limit.take("b")] == [1, 1]


def test_of_too_many_keys_the_one_that_asked_longest_ago_is_forgotten() -> None:
    limit = Rates(1, 2, Clock(), most_keys=2)
    for key in ("a", "b", "a", "c"):
        assert limit.take(key) is None
    assert limit.take("a") == 1
    assert limit.take("b") is None
    assert limit.take("b") is None


def test_it_runs_on_the_machines_own_clock() -> None:
    limit = Rates(0.001, 1)
    assert limit.take("a") is None
    wait = limit.take("a")
    assert wait is not None
    assert 900 < wait <= 1000


def test_a_key_that_asks_too_often_is_told_to_wait(tmp_path: Path, database_url: str | None) -> None:
    """Contract A6: 429 ``{"message":"Too Many Requests"}`` with ``Retry-After``; another key is not held up."""
    limit = {"RUSHES_REQUESTS_PER_SECOND": "0.2"}
    with serving(tmp_path / "data", database_url, settings=limit) as server, server.client() as eager:
        first, second, third = (eager.get("/aistudio/videos") for _ in range(3))
        assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
        assert third.content == b'{"message":"Too Many Requests"}'
        assert 1 <= int(third.headers["retry-after"]) <= 5
        assert eager.get("/quota").status_code == 429
        with server.client() as other:
            assert other.get("/aistudio/videos").status_code == 200
        with server.client("pictai_unknown") as stranger:
            assert {stranger.get("/aistudio/videos").status_code for _ in range(5)} == {401}
