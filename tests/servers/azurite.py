"""Azure's own emulator of its blob store, from npm: ``npm install --global azurite``."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
import uuid
from email.utils import formatdate
from pathlib import Path

import httpx2

from tests.conftest import free_port, wait_until

PROGRAM = "azurite-blob"
PACKAGE = "npm install --global azurite"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The one account that every emulator has, and its key, which is no secret."""
_VERSION = "2021-08-06"


def is_there() -> bool:
    """Whether it is installed."""
    return shutil.which(PROGRAM) is not None


class Azurite:
    """A running one, with its files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}/{ACCOUNT}"
        options = ("--silent", "--location", str(folder), "--blobPort", str(self._port), "--skipApiVersionCheck")
        self._log = (folder / "azurite.log").open("wb")
        self._process = subprocess.Popen(
            [PROGRAM, *options, "--disableTelemetry"], stdout=self._log, stderr=self._log, start_new_session=True
        )
        wait_until(self._answers, what="azurite's first answer")

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a program that is to use it."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": self._url,
        }

    def container(self) -> str:
        """The address of a new container."""
        name = f"c{uuid.uuid4().hex}"
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": _VERSION}
        signed = "\n".join(f"{name}:{value}" for name, value in headers.items())
        text = f"PUT{chr(10) * 12}{signed}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
        headers["authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        asked = httpx2.put(f"{self._url}/{name}?restype=container", headers=headers, trust_env=False)
        asked.raise_for_status()
        return f"az://{name}"

    def _answers(self) -> bool:
        assert self._process.poll() is None
        try:
            return bool(httpx2.get(self._url, trust_env=False).status_code)
        except httpx2.TransportError:
            return False

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        self._log.close()
