"""``/jobs`` as the vendor has it, and ``/aistudio/jobs``: more of the same jobs, for people."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rushes import ids, wire
from rushes.api import auth, query
from rushes.api.answers import answer, given, listing, tagged
from rushes.api.bodies import once, read
from rushes.api.query import checked, parameters
from rushes.errors import JobNotFound
from rushes.model import Account, Job, JobState
from rushes.paging import PAGE_SIZE, Cursor
from rushes.store import jobs
from rushes.store.library import LIBRARIES
from rushes.studio import Studio


async def show(request: Request) -> Response:
    """``GET /jobs/{job_id}``: how one job stands."""
    studio, account = await _who(request)
    job = await _job(studio, account, request)
    told = wire.dumps(wire.job(job, await _item(studio, job), _origin(studio, request)))
    return Response(wire.unmistakable(told) if job.state.ended else told, media_type="application/json")


async def page(request: Request) -> Response:
    """``GET /jobs``: the account's jobs, newest first; the last page says ``null``."""
    studio, account = await _who(request)
    listed, token = await _page(studio, account, request, "jobs", None, PAGE_SIZE)
    told = [(job, await _item(studio, job)) for job in listed]
    return listing(request, wire.jobs(told, token, _origin(studio, request)))


async def clean(request: Request) -> Response:
    """``DELETE /jobs/{job_id}/clean``: what the job made goes, for good."""
    studio, account = await _who(request)
    await studio.clean_job(account.id, _job_id(request))
    return answer(wire.SUCCESS)


async def cancel(request: Request) -> Response:
    """``POST /jobs/{job_id}/cancel``: a job under way ends now."""
    studio, account = await _who(request)
    body = await read(request, studio.config.body_seconds)
    return given(await studio.cancel_job(account.id, _job_id(request), once(request, body)))


async def detail(request: Request) -> Response:
    """``GET /aistudio/jobs/{job_id}``: all there is to know of one job."""
    studio, account = await _who(request)
    return _told(request, _detail(studio, await _job(studio, account, request)))


async def details(request: Request) -> Response:
    """``GET /aistudio/jobs``: the same of all, newest first, by state where one is asked for."""
    studio, account = await _who(request)
    read = checked(parameters(request.scope["query_string"]), _READERS)
    state, limit = read.get("state"), read.get("limit", PAGE_SIZE)
    assert isinstance(limit, int)  # noqa: S101  (for the type checker)
    wanted = state if isinstance(state, JobState) else None
    listed, token = await _page(studio, account, request, "aistudio/jobs", wanted, limit)
    told: dict[str, object] = {"items": [_detail(studio, job) for job in listed]}
    return _told(request, told if token is None else {**told, "nextPageKey": token})


def _told(request: Request, details: object) -> Response:
    return tagged(request, wire.unmistakable(wire.dumps(details)).encode())


async def _page(
    studio: Studio, account: Account, request: Request, listing: str, state: JobState | None, limit: int
) -> tuple[list[Job], str | None]:
    cursor = Cursor(studio.secret, account.id, listing, state or "")
    token = parameters(request.scope["query_string"]).get("nextPageKey")
    after = cursor.parse(token) if token else None
    listed, last = await jobs.page(studio.store, account.id, after, limit, state)
    return listed, last and cursor.token(last)


def _detail(studio: Studio, job: Job) -> dict[str, object]:
    route = studio.config.route(job.request.model)
    item_id = job.item_id if job.state is JobState.COMPLETED else None
    return wire.job_detail(job, item_id, job.provider or (route.provider if route else None))


async def _who(request: Request) -> tuple[Studio, Account]:
    studio: Studio = request.state.studio
    return studio, await auth.account(studio, dict(request.scope["headers"]))


def _job_id(request: Request) -> str:
    job_id: str = request.path_params["job_id"]
    if not ids.is_uuid(job_id):
        raise JobNotFound(job_id)
    return job_id


async def _job(studio: Studio, account: Account, request: Request) -> Job:
    job_id = _job_id(request)
    job = await jobs.get(studio.store, account.id, job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


async def _item(studio: Studio, job: Job) -> bytes | None:
    if job.state is not JobState.COMPLETED:
        return None
    return await LIBRARIES[job.kind].of_job(studio.store, job.account_id, job.id)


def _origin(studio: Studio, request: Request) -> str:
    return auth.links(studio.config, request.scope, dict(request.scope["headers"]))


def _state(text: str) -> JobState:
    if text not in list(JobState):
        raise ValueError(f"must be one of {', '.join(JobState)}")
    return JobState(text)


_READERS = {"state": _state, "limit": query.page_limit, "nextPageKey": query.page_token}
