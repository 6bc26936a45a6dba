"""A real S3 store: Ceph's RADOS Gateway from Debian's packages, one monitor, one disk, one gateway, in one folder.

    apt-get install radosgw ceph-mon ceph-osd

Each of the three is a process of ours, so that a test can kill any of them and start it again: what was acknowledged
is on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import obstore
from obstore.store import S3Store

from tests.conftest import free_port, wait_until

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
PACKAGES = "radosgw ceph-mon ceph-osd"
KEY, SECRET = "rushes", "a-secret-of-the-tests"
START_SECONDS = 120
_CONFIG = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}/0]
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}/run
admin socket = {folder}/run/$name.$pid.asok
log file = {folder}/$name.log
pid file = {folder}/run/$name.pid
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
mon warn on pool no redundancy = false
mon allow pool size one = true
mon max pg per osd = 1000
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block size = 4294967296
bluestore block create = true
bluestore_block_db_create = false
osd memory target = 939524096
osd data = {folder}/osd0
mon data = {folder}/mon
mon data avail warn = 1
paxos propose interval = 0.1
mon tick interval = 1
osd heartbeat grace = 4
osd heartbeat interval = 1
osd mon heartbeat interval = 2
osd client watch timeout = 2
osd class load list = *
osd class default list = *
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 32
ms mon client mode = crc
"""
# The gateway insists on a key of its own for the monitor, unless it is told to speak plainly.


def missing() -> list[str]:
    """Programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Ceph:
    """A store in ``folder``; its buckets are made as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._has_user = False

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a program that is to use it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def create(self) -> None:
        """Make it from nothing, and start it."""
        for part in ("mon", "osd0", "run"):
            (self.folder / part).mkdir(parents=True)
        fsid, mon = str(uuid.uuid4()), free_port()
        self._config.write_text(_CONFIG.format(fsid=fsid, mon=mon, folder=self.folder, port=self.port))
        map_ = str(self.folder / "monmap")
        self._do("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{mon}]", "--fsid", fsid, map_)
        self._do("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_)
        self.start("mon")
        self._do("ceph", "osd", "new", str(uuid.uuid4()))
        [osd] = json.loads(self._do("ceph", "osd", "dump", "--format", "json"))["osds"]
        self._do("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd["uuid"])
        self._do("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=h")
        self.start("osd", "rgw")
        user = ("--uid", "rushes", "--display-name", "Rushes", "--access-key", KEY, "--secret-key", SECRET)
        self.admin("user", "create", *user)
        self._has_user = True

    def start(self, *parts: str) -> None:
        """Start ``mon``, ``osd`` or ``rgw``; with the gateway, returns once it can write."""
        for part in parts:
            command = {
                "mon": ("ceph-mon", "-f", "-i", "a"),
                "osd": ("ceph-osd", "-f", "-i", "0"),
                "rgw": ("radosgw", "-f", "-n", "client.rgw"),
            }[part]
            with (self.folder / f"{part}.out").open("ab") as log:
                self._running[part] = subprocess.Popen(
                    [*command, "-c", str(self._config)], stdout=log, stderr=log, start_new_session=True
                )
        if "rgw" in parts:
            wait_until(self.answers, START_SECONDS, "the gateway's first answer")
            if self._has_user:
                self.bucket()  # its disk may need a while longer

    def answers(self) -> bool:
        """Whether the gateway does."""
        rgw = self._running["rgw"]
        assert rgw.poll() is None, (self.folder / "rgw.out").read_text()
        try:
            return httpx2.get(self.url, trust_env=False, timeout=2).status_code == 200
        except httpx2.TransportError:
            return False

    def kill(self, *parts: str) -> None:
        """``kill -9``."""
        for part in parts:
            self._running[part].kill()
            self._running.pop(part).wait()

    def close(self) -> None:
        """End all of it."""
        self.kill(*self._running)

    def admin(self, *command: str) -> str:
        """What ``radosgw-admin`` says."""
        return self._do("radosgw-admin", "-n", "client.rgw", *command)

    def bucket(self) -> str:
        """The address of a new bucket."""
        name = f"b{uuid.uuid4().hex}"
        signed = obstore.sign(self.store(f"s3://{name}"), "PUT", "", timedelta(seconds=60))
        httpx2.put(signed, trust_env=False, timeout=START_SECONDS).raise_for_status()
        return f"s3://{name}"

    def store(self, url: str) -> S3Store:
        """The library's own view of a bucket: to look at it past our code, and to spoil it."""
        parts = urlsplit(url)
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            endpoint=self.url,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )

    @property
    def _config(self) -> Path:
        return self.folder / "ceph.conf"

    def _do(self, *command: str) -> str:
        # Some of them write what nobody asked for to stderr.
        done = subprocess.run(
            [*command, *(() if command[0] == "monmaptool" else ("-c", str(self._config)))],
            check=False,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            env={**os.environ, "CEPH_CONF": str(self._config)},
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout
