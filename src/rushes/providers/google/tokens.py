"""Google Cloud's access tokens, by ``google-auth``: of a service account, or of whoever this machine is logged in as.

The only module that imports it: an optional extra.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import google.auth
import httpx2
from google.auth import credentials, exceptions, transport
from google.oauth2 import service_account

from rushes.errors import BadSetting, ModelUnavailable, ProviderUnreachable

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_SECONDS = 30.0


class Tokens:
    """A token that is good now, refreshed when it is not."""

    def __init__(self, account: str | None) -> None:
        """``account`` is the JSON of a service account's key; without one, the application default credentials count.

        Raises:
            BadSetting: it is no such key.
        """
        self._lock = threading.Lock()
        self.project: str | None = None
        self._credentials: credentials.Credentials | None = None
        if account is not None:
            self._credentials = _of_account(account)
            self.project = self._credentials.project_id

    async def headers(self) -> dict[str, str]:
        """What a request bears.

        Raises:
            ModelUnavailable: there are no credentials, or they are not taken. ProviderUnreachable: not now.
        """
        return await asyncio.to_thread(self._headers)

    def _headers(self) -> dict[str, str]:
        try:
            with self._lock:  # one of many that need a new one asks
                found = self._fresh()
        except exceptions.DefaultCredentialsError as error:
            raise ModelUnavailable(
                "There are no Google Cloud credentials on this server: its operator sets GOOGLE_SERVICE_ACCOUNT_FILE, "
                "or runs `gcloud auth application-default login`."
            ) from error
        except exceptions.GoogleAuthError as error:
            if error.retryable or isinstance(error, exceptions.TransportError):
                raise ProviderUnreachable("Google gives no access token now.") from None
            raise ModelUnavailable("Google does not take the Google Cloud credentials of this server.") from None
        quota = getattr(found, "quota_project_id", None)
        return {"Authorization": f"Bearer {found.token}", **({"x-goog-user-project": quota} if quota else {})}

    def _fresh(self) -> credentials.Credentials:
        if self._credentials is None:
            self._credentials, _ = google.auth.default(scopes=_SCOPES, request=_Request())
        if not self._credentials.valid:
            self._credentials.refresh(_Request())  # type: ignore[no-untyped-call]
        return self._credentials


def _of_account(text: str) -> service_account.Credentials:
    try:
        info = json.loads(text)
        found: service_account.Credentials
        found = service_account.Credentials.from_service_account_info(info, scopes=_SCOPES)  # type: ignore[no-untyped-call]
    except (ValueError, AttributeError, TypeError) as error:
        raise BadSetting(
            "GOOGLE_SERVICE_ACCOUNT holds no key of a Google Cloud service account: it is the JSON file that the "
            "console gives when a key is made."
        ) from error
    return found


class _Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    data: bytes


class _Request(transport.Request):
    """google-auth's own need ``requests`` or ``urllib3``; this is done with what Rushes has anyway."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> _Response:
        try:
            answer = httpx2.request(method, url, content=body, headers=headers, timeout=timeout or _SECONDS)
        except httpx2.HTTPError as error:
            raise exceptions.TransportError(type(error).__name__) from error  # type: ignore[no-untyped-call]
        return _Response(answer.status_code, answer.headers, answer.content)
