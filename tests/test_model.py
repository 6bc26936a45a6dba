"""The words, and how a job may move."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.model import ENDED, MOVES, JobState, timestamp
from tests.contract.samples import video


def test_every_state_says_where_it_may_go() -> None:
    assert set(MOVES) == set(JobState)


def test_a_job_that_ended_only_becomes_cleaned_or_is_settled() -> None:
    assert {to for state in ENDED - {JobState.FAILED} for to in MOVES[state]} == {JobState.CLEANED}
    assert MOVES[JobState.FAILED] == {JobState.CLEANED, JobState.WAITING}
    assert MOVES[JobState.CLEANED] == frozenset()


def test_every_state_can_be_reached_and_every_open_one_can_fail_or_be_cancelled() -> None:
    assert set().union(*MOVES.values()) == set(JobState)
    for state in set(JobState) - ENDED:
        assert {JobState.FAILED, JobState.CANCELLED} <= MOVES[state]


@pytest.mark.parametrize("state", JobState)
def test_a_state_knows_whether_it_is_the_end(state: JobState) -> None:
    assert state.ended == (state in {"completed", "failed", "cancelled", "cleaned"})


def test_a_time_goes_out_as_the_contract_shows_it() -> None:
    assert timestamp(1_775_760_707_967) == "2026-04-09T18:51:47.967Z"
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"


@given(st.integers(0, 32_503_680_000_000))
def test_a_time_keeps_its_milliseconds(milliseconds: int) -> None:
    told = timestamp(milliseconds)
    assert len(told) == 24
    moment = datetime.fromisoformat(told)
    assert int(moment.timestamp()) * 1000 + moment.microsecond // 1000 == milliseconds


def test_a_videos_files_have_the_names_of_the_contract() -> None:
    made = video("acc", file_id="file")
    stem = "videos/user/acc/file"
    links = (f"{stem}.mp4", f"{stem}_preview.jpg", f"{stem}_thumbnail.jpg", f"{stem}_last_frame.png")
    assert made.files.all == (*links, "sidecars/acc/file.json")
