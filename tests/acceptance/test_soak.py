"""The short form of the soak."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.soak import soak

SECONDS = 30


@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_memory_and_open_files_stay_as_they_are_under_traffic(tmp_path: Path, database_url: str) -> None:
    seen, made = soak(tmp_path, SECONDS, database_url)
    assert made > 20
    assert set(seen) == {"parent", "api 1", "api 2", "worker"}
    for process, held in seen.items():
        memory, files = held.growth()
        # Half a minute is short: allocators still settle. What leaks by the request grows past this all the same.
        assert memory < 8, f"{process} grew by {memory:.1f} MiB"
        assert files < 4, f"{process} has {files:g} more files open"
