"""``/jobs/{id}``: how a job stands."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rushes import ids, wire
from rushes.api import auth
from rushes.api.answers import answer
from rushes.errors import JobNotFound
from rushes.model import JobState
from rushes.store import jobs, videos
from rushes.studio import Studio


async def show(request: Request) -> Response:
    """``GET``: one job of the account."""
    studio: Studio = request.state.studio
    headers = dict(request.scope["headers"])
    account = await auth.account(studio, headers)
    job_id: str = request.path_params["job_id"]
    job = await jobs.get(studio.store, account.id, job_id) if ids.is_uuid(job_id) else None
    if job is None:
        raise JobNotFound(job_id)
    item = await videos.of_job(studio.store, account.id, job.id) if job.state is JobState.COMPLETED else None
    return answer(wire.job(job, item, auth.origin(studio.config, request.scope, headers)))
