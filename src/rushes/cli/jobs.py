"""``rushes jobs``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rushes.cli.connection import with_client
from rushes.cli.dollars import Dollars
from rushes.cli.examples import examples
from rushes.cli.lookup import job_id
from rushes.cli.sheets import json_option, print_json
from rushes.cli.studio import data_option, in_studio
from rushes.cli.tables import Column, amount, is_terminal, moment, print_rows, print_sheet, when
from rushes.cli.waiting import wait
from rushes.errors import InvalidQuery, JobFailed
from rushes.model import JobState

if TYPE_CHECKING:
    from rushes.client import Job, JobDetail
    from rushes.client.synchronous import Client

_PAGE = 100
_COLUMNS = (Column("JOB"), Column("AGE"), Column("STATE"), Column("MODEL", optional=True), Column("PROMPT"))
_PLAIN_COLUMNS = (Column("JOB"), Column("STATE"), Column("CREDITS"))

_FREE = (JobState.FAILED, JobState.CANCELLED)

_id_argument = click.argument("job", metavar="ID")


@click.group(epilog=examples("rushes jobs list", "rushes jobs show last --wait"))
def jobs() -> None:
    """See how jobs stand, wait for one, end one."""


@jobs.command("list", epilog=examples("rushes jobs list --state failed", "rushes jobs list -n 0 --json"))
@click.option("--state", type=click.Choice([str(state) for state in JobState]), help="Only those in this state.")
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(min=0), help="How many; 0: all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as the API gives it.")
@with_client
def list_jobs(client: Client, state: str | None, count: int, as_json: bool) -> None:
    """Show jobs, newest first."""
    listed = islice(_listed(client, state, count), count or None)
    if as_json:
        for job in listed:
            print_json(job.json)
    elif not _print_table(client, listed) and is_terminal():
        click.echo("Nothing to show.", err=True)


def _listed(client: Client, state: str | None, count: int) -> Iterator[Job | JobDetail]:
    if client.is_rushes():
        return client.jobs.details(state=state, page_size=min(count or _PAGE, _PAGE))
    if state:
        raise InvalidQuery("This server does not filter its jobs: only a Rushes does.")
    return client.jobs.list()


def _print_table(client: Client, listed: Iterator[Job | JobDetail]) -> int:
    return print_rows(_COLUMNS if client.is_rushes() else _PLAIN_COLUMNS, map(_row, listed))


def _row(job: Job | JobDetail) -> Sequence[str]:
    from rushes.client import Job

    if isinstance(job, Job):
        return job.id, job.error_code or job.status, "-" if job.credits is None else amount(job.credits)
    share = "" if job.ended or job.progress is None else f" {job.progress:.0%}"
    return job.id, when(job.created), job.state + share, job.model, job.prompt


@jobs.command("show", epilog=examples("rushes jobs show last", "rushes jobs show last --wait --json"))
@_id_argument
@click.option("--wait", "waits", is_flag=True, help="Until it has ended. Exit 1: it failed.")
@json_option
@with_client
def show_job(client: Client, job: str, waits: bool, as_json: bool) -> None:
    """Show one job. ID is what `rushes generate` and `rushes jobs list` tell, or `last`: the newest."""
    job = job_id(client, job)
    failure = _failure(client, job) if waits else None
    told = client.jobs.show(job) if client.is_rushes() else client.jobs.get(job)
    if as_json:
        print_json(told.json)
    else:
        print_sheet(told.json.get("prompt", told.id), _facts(told))
    if failure:
        raise failure


def _failure(client: Client, job: str) -> JobFailed | None:
    """Wait for a job; how it failed, if it did."""
    try:
        wait(client, job)
    except JobFailed as error:
        return error
    return None


def _facts(job: Job | JobDetail) -> Iterator[tuple[str, str | None]]:
    from rushes.client import Job

    yield "job", job.id
    if isinstance(job, Job):
        yield "state", job.status
        yield "credits", None if job.credits is None else amount(job.credits)
        yield "file", job.url
    else:
        yield from _details(job)
    yield "error", job.error_code and f"{job.error_code}: {job.error_message}"


def _details(job: JobDetail) -> Iterator[tuple[str, str | None]]:
    share = "" if job.ended or job.progress is None else f", {job.progress:.0%} done"
    yield "state", job.state + share
    yield "waits for", job.waiting_for
    yield "model", f"{job.model} ({job.provider})" if job.provider else job.model
    yield "created", moment(job.created)
    yield "credits", "0" if job.state in _FREE else amount(job.credits)
    cost = "" if job.cost is None else f"${job.cost:,.6f}".rstrip("0").rstrip(".") + ", "
    yield "cost", f"{cost}{job.cost_source}" if job.cost_source else None
    yield job.kind, job.item_id


@jobs.command("cancel", epilog=examples("rushes jobs cancel last"))
@_id_argument
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@with_client
def cancel_job(client: Client, job: str, as_json: bool) -> None:
    """End a job under way. ID may be `last`: the newest. Its credits are not charged."""
    if not client.is_rushes():
        raise InvalidQuery("This server cancels no jobs: only a Rushes does.")
    job = job_id(client, job)
    client.jobs.cancel(job)
    if as_json:
        print_json({"jobId": job, "cancelled": True})
    else:
        click.echo("cancelled", err=True)


@jobs.command(
    "settle",
    epilog=examples(
        "rushes jobs settle 6e6b7a3c-0b0e-4a0e-9a55-1f5b1c2d3e4f --collect",
        "rushes jobs settle 6e6b7a3c-0b0e-4a0e-9a55-1f5b1c2d3e4f --ticket 8f14e45f",
        "rushes jobs settle 6e6b7a3c-0b0e-4a0e-9a55-1f5b1c2d3e4f --cost 0",
    ),
)
@click.argument("job", metavar="ID")
@click.option("--collect", is_flag=True, help="Its provider has it, by the ticket that is known here: go on with it.")
@click.option("--ticket", help="Its provider has it, by this ticket (its id there): go on with it.")
@click.option("--cost", type=Dollars(), help="It is over there too, and cost so many US dollars (0: nothing).")
@data_option
def settle_job(job: str, collect: bool, ticket: str | None, cost: Decimal | None, data: Path | None) -> None:
    """Say what became of a job whose outcome is unknown, once you have looked at its provider.

    For the operator: it opens the data itself. Nothing is ever sent a second time; what the provider made is collected
    where it has it, and else the cost is noted. Until then the budgets count what it was expected to cost.
    """
    if collect + (ticket is not None) + (cost is not None) != 1:
        raise click.UsageError("Say one of --collect, --ticket and --cost.")
    if cost is not None:
        in_studio(data, lambda studio: studio.money.settle(job, cost))
        click.echo(f"settled at ${cost:f}", err=True)
    else:
        known = in_studio(data, lambda studio: studio.money.reopen(job, ticket))
        if known and known != (ticket or known):
            click.echo(f"The ticket that was known until now was {known}", err=True)
        click.echo(f"It goes on; `rushes jobs show {job} --wait` tells how.", err=True)
