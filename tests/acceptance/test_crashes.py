"""Design rules 1 to 3, with real processes that are killed at random: one entry a job, no second submission, files
and rows that belong together."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from rushes import config
from rushes.studio import Studio
from tests.acceptance.site import SECONDS, Site, all_ended, check, submit_all, told
from tests.conftest import wait_until
from tests.servers.ceph import Ceph
from tests.servers.postgres import Postgres

JOBS, KILLS = 200, 16
MANY, MANY_KILLS = 1000, 28

pytestmark = [pytest.mark.timeout(400), pytest.mark.anyio]


async def test_whatever_is_killed_every_job_ends_once_and_files_match_rows(
    tmp_path: Path, database_url: str | None
) -> None:
    site = Site(tmp_path, database_url)
    async with Studio.open(config.load(data=tmp_path / "data", database_url=database_url)) as studio:
        await _survives(site, studio, JOBS, KILLS)


@pytest.mark.xdist_group("ceph")
async def test_the_same_where_the_database_and_the_store_are_killed_too(
    tmp_path: Path, primary: Postgres, ceph: Ceph
) -> None:
    """A thousand jobs on PostgreSQL and S3."""

    def kill_the_database() -> None:
        primary.stop(signal.SIGQUIT)
        primary.start()

    def kill_the_store() -> None:
        ceph.kill("rgw")
        ceph.start("rgw")

    url, storage = primary.database(), f"{ceph.bucket()}/site"
    others = {"postgres": kill_the_database, "store": kill_the_store}
    site = Site(tmp_path, url, others, RUSHES_STORAGE_URL=storage)
    async with Studio.open(config.load(data=tmp_path / "data", database_url=url, storage_url=storage)) as studio:
        await _survives(site, studio, MANY, MANY_KILLS)
    assert site.kills["postgres"]
    assert site.kills["store"]


async def _survives(site: Site, studio: Studio, jobs: int, kills: int) -> None:
    key = await studio.create_key("default", "")
    with site.running():
        with site.killing(kills):
            accepted = submit_all(site, key, jobs)
            wait_until(lambda: site.kills.total() >= kills or bool(site.failures), SECONDS, "enough kills")
        await all_ended(studio)
        await check(site, studio, key, accepted)
    assert site.kills["serve"]
    assert site.kills["worker"]
    print(await told(studio, site))
