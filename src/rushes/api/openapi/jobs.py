"""``/jobs`` and ``/aistudio/jobs``."""

from __future__ import annotations

from rushes import errors
from rushes.api.openapi import examples, parameters
from rushes.api.openapi.operation import (
    COPIED,
    ONCE,
    QUERY,
    V1,
    WITH_KEY,
    Operation,
    Paths,
    given_once,
    job_links,
    link,
    ok,
    ok_or_unchanged,
    operation,
)
from rushes.api.openapi.responses import given, several


def jobs() -> Paths:
    """Jobs, as the vendor has them and as people want to see them."""
    return {
        f"{V1}/jobs": {"get": _list_jobs()},
        f"{V1}/jobs/{{job_id}}": {"get": _get_job()},
        f"{V1}/jobs/{{job_id}}/cancel": {"post": _cancel_job()},
        f"{V1}/jobs/{{job_id}}/clean": {"delete": _clean_job()},
        f"{V1}/aistudio/jobs": {"get": _list_job_details()},
        f"{V1}/aistudio/jobs/{{job_id}}": {"get": _get_job_details()},
    }


def _list_jobs() -> Operation:
    told = "Every job of the account, newest first, at most 100 at a time. Here the last page says `null`."
    answer = given("A page.", "JobPage", examples.job_page(), *COPIED)
    job = "$response.body#/items/0/data/jobId"
    answer["links"] = {
        "next_page": link("list_jobs", "The next page.", nextPageKey="$response.body#/nextPageKey"),
        **job_links(job),
    }
    answered = ok_or_unchanged(answer, (*QUERY, *WITH_KEY))
    asked = [*parameters.paging(), parameters.if_none_match()]
    return operation("list_jobs", "Jobs", "List jobs", told, answered, parameters=asked)


def _get_job() -> Operation:
    told = (
        "How a job stands: ask again while it reads `in-progress`, as often as you like. A job that failed is still a "
        "200, with a code for programs and a sentence for people."
    )
    answer = several("The job.", "Job", examples.jobs())
    answered = ok(answer, (*WITH_KEY, errors.JobNotFound))
    return operation("get_job", "Jobs", "Get a job", told, answered, parameters=[parameters.job_id()])


def _cancel_job() -> Operation:
    told = "Ends a job that is under way: it then reads failed, with `CANCELLED`, and costs no credits."
    refusals = (*ONCE, *WITH_KEY, errors.JobNotFound, errors.JobFinished)
    answered = ok(given_once("It was cancelled.", "Done", {"success": True}), refusals)
    asked = [parameters.job_id(), parameters.idempotency_key()]
    return operation("cancel_job", "Jobs", "Cancel a job", told, answered, parameters=asked)


def _clean_job() -> Operation:
    told = "Deletes what a finished job made, its files and its place in the library. Doing it again changes nothing."
    refusals = (*WITH_KEY, errors.JobNotFound, errors.JobNotFinished)
    answered = ok(given("It is gone.", "Done", {"success": True}), refusals)
    return operation("clean_job", "Jobs", "Clean a job", told, answered, parameters=[parameters.job_id()])


def _list_job_details() -> Operation:
    told = "The same jobs with all that a person wants to see, newest first; of one state, where one is asked for."
    answer = given("A page.", "JobDetailsPage", examples.job_details_page(), *COPIED)
    answer["links"] = {
        "next_page": link("list_job_details", "The next page.", nextPageKey="$response.body#/nextPageKey"),
        **job_links("$response.body#/items/0/jobId"),
    }
    answered = ok_or_unchanged(answer, (*QUERY, *WITH_KEY))
    asked = [*parameters.paging(), parameters.limit(), parameters.state(), parameters.if_none_match()]
    return operation("list_job_details", "Jobs", "List jobs in detail", told, answered, parameters=asked)


def _get_job_details() -> Operation:
    told = "What it was asked for, where it stands, what it waits for, what it costs, who makes it."
    answer = given("The job.", "JobDetails", examples.job_details(), *COPIED)
    answered = ok_or_unchanged(answer, (*WITH_KEY, errors.JobNotFound))
    asked = [parameters.job_id(), parameters.if_none_match()]
    return operation("get_job_details", "Jobs", "Get a job in detail", told, answered, parameters=asked)
