"""What an operator sees: a request id that follows the job, logs for programs, figures, traces, the dashboard."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from prometheus_client.parser import text_string_to_metric_families

from rushes import ids
from tests.api import sockets
from tests.api.takes import VIDEOS, completed, submit
from tests.conftest import V1, Program, Server, free_port, serving, wait_until
from tests.media.clips import make
from tests.servers.collector import Collector, Span
from tests.servers.fake import KEY
from tests.servers.openai_compatible import MODEL, OpenAICompatibleServer

DEPLOY = Path(__file__).parents[2] / "deploy"
OURS = "the-first.of:many_1"
TRACE = "0af7651916cd43dd8448eb211c80319c"
LISTS = f"{V1}/aistudio/videos"


@dataclass
class Site:
    """Two API processes, a worker of its own, a provider, a collector; one video was made."""

    server: Server
    vendor: OpenAICompatibleServer
    collector: Collector
    worker_log: Path
    worker_metrics: str
    job_id: str

    def lines(self, log: Path) -> list[dict[str, Any]]:
        lines = [line for line in log.read_text().splitlines() if not line.startswith("rushes: ")]
        return [json.loads(line) for line in lines]

    @property
    def api_log(self) -> Path:
        [log] = self.server.data.parent.glob("serve-*.log")
        return log


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("watched")
    film = make(folder / "clip.mp4", width=64, height=112, frames=12).read_bytes()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(OpenAICompatibleServer(film, b"")) as vendor,
        portal.wrap_async_context_manager(Collector()) as collector,
    ):
        (folder / "routes.toml").write_text(
            f'[models."pixverse5.5"]\nprovider = "openai_compatible"\nid = "{MODEL}"\nbase_url = "{vendor.base_url}"\n'
            'key_env = "VENDOR_KEY"\ndollars = "0.03"\n'
        )
        port = free_port()
        settings = {
            "RUSHES_CONFIG": str(folder / "routes.toml"),
            "RUSHES_LOG_FORMAT": "json",
            "RUSHES_WORKER_METRICS": f"127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "VENDOR_KEY": KEY,
        }
        worker, log = Program(["worker", "--data", str(folder / "data")], settings), folder / "worker.log"
        with serving(folder / "data", None, "--no-worker", "--processes", "2", settings=settings) as server:
            worker.start(log)
            try:
                with server.client(server.key("default")) as api:
                    told = {"X-Request-Id": OURS, "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
                    answer = api.post(VIDEOS, json={"prompt": "a red fox"}, headers=told)
                    job_id = answer.json()["data"]["jobId"]
                    completed(api, job_id)
                metrics = f"http://127.0.0.1:{port}/metrics"
                yield Site(server, vendor, collector, log, metrics, job_id)
            finally:
                worker.stop()


# --- the request id ---


@pytest.mark.parametrize("path", [LISTS, f"{V1}/jobs", "/healthz", "/nothing", "/"])
def test_a_requests_own_id_comes_back_and_another_gets_one(server: Server, path: str) -> None:
    for headers in ({}, {"Authorization": server.key()}):
        told = [httpx2.get(f"{server.url}{path}", headers=headers, trust_env=False) for _ in range(2)]
        made = [answer.headers.get_list("x-request-id") for answer in told]
        assert all(len(each) == 1 and ids.is_uuid(each[0]) for each in made)
        assert made[0] != made[1]
        named = httpx2.get(f"{server.url}{path}", headers={**headers, "X-Request-Id": OURS}, trust_env=False)
        assert named.headers.get_list("x-request-id") == [OURS]


@pytest.mark.parametrize("bad", ["", "two words", "a" * 65, '"quoted"', "a;b", "-dash-first", "ü"])
def test_what_is_no_id_is_replaced(server: Server, bad: str) -> None:
    headers = [(b"X-Request-Id", bad.encode())]
    answer = httpx2.get(f"{server.url}/healthz", headers=headers, trust_env=False)
    assert ids.is_uuid(answer.headers["x-request-id"])


def test_an_answer_to_what_is_no_http_has_one_too(server: Server) -> None:
    answer = sockets.exchange(server, b"GARBAGE\r\n\r\n")
    assert answer.status == 400
    assert ids.is_uuid(answer.headers["x-request-id"])


def test_it_follows_the_job_through_the_worker_to_the_provider(site: Site) -> None:
    api = [line for line in site.lines(site.api_log) if line.get("request_id") == OURS]
    assert next(line["event"].split(":")[0] for line in api) == f"job {site.job_id}"
    assert any(re.fullmatch(rf"POST {LISTS} 200 in [\d.]+ ms", line["event"]) for line in api)
    work = [line for line in site.lines(site.worker_log) if line.get("job") == site.job_id]
    assert [line["event"].removeprefix(f"job {site.job_id}: ") for line in work] == [
        "taken by openai_compatible",
        "completed",
    ]
    assert {(line["request_id"], line["model"], line["provider"]) for line in work} == {
        (OURS, "pixverse5.5", "openai_compatible")
    }
    for kind in ("create", "poll"):
        assert site.vendor.last(kind).headers["x-request-id"] == OURS
        assert site.vendor.last(kind).headers["traceparent"].split("-")[1] == TRACE


def test_every_line_for_programs_says_when_where_and_how_grave(site: Site) -> None:
    for line in site.lines(site.api_log) + site.lines(site.worker_log):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"])
        assert line["level"] in ("info", "warning")
        assert line["logger"].startswith("rushes.")


def test_reads_are_logged_only_where_that_is_wanted_and_never_a_query(tmp_path: Path) -> None:
    for wanted in ("false", "true"):
        folder = tmp_path / wanted
        folder.mkdir()
        settings = {"RUSHES_LOG_REQUESTS": wanted}
        with serving(folder / "data", None, "--no-worker", settings=settings) as server, server.client() as api:
            api.get("/quota", params={"secret": "hush"})
            api.delete(f"/jobs/{ids.uuid()}/clean")
            [log] = folder.glob("serve-*.log")
            wait_until(lambda log=log: "DELETE" in log.read_text(), what="the line")  # type: ignore[misc]
            assert (f"GET {V1}/quota 200 in" in log.read_text()) is (wanted == "true")
            assert re.search(
                rf"INFO rushes\.api: DELETE {V1}/jobs/\S+ 404 in .* ms \[request_id=\S+\]\n", log.read_text()
            )
            assert "hush" not in log.read_text()


def test_a_stranger_writes_no_lines_of_his_own(server: Server) -> None:
    forged = b"/x%0a2026-11-25T00:00:00Z%20INFO%20rushes.studio:%20job%20forged%1b[31m%c2%9b%e2%80%ae"
    sockets.ask(server, forged, b"Host: a", b"Content-Length: 0", method=b"POST")
    log = server.data.parent / f"serve-{server.url.rpartition(':')[2]}.log"
    wait_until(lambda: "job forged" in log.read_text(), what="the line")
    [line] = [line for line in log.read_text().split("\n") if "job forged" in line]
    assert "POST /x\\n2026" in line
    assert line.isprintable()


# --- figures ---


def figures(url: str) -> dict[str, float]:
    """Every sample, by its name and its labels' values."""
    text = httpx2.get(url, trust_env=False).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len({(each.name, *each.labels.items()) for each in samples}) == len(samples), "each once"
    return {" ".join([each.name, *(each.labels[name] for name in sorted(each.labels))]): each.value for each in samples}


def test_requests_are_counted_by_route_over_all_processes(site: Site) -> None:
    def count() -> float:
        told = figures(f"{site.server.url}/metrics")
        return told.get(f"rushes_request_seconds_count GET {LISTS} 401", 0)

    before = count()
    for _ in range(20):  # each on a connection of its own: either process takes some
        httpx2.get(f"{site.server.url}{LISTS}", trust_env=False)
    wait_until(lambda: count() == before + 20, what="all of them")


def test_no_path_and_no_method_that_somebody_made_up_is_a_label(site: Site) -> None:
    for path in (f"/{ids.uuid()}", f"{V1}/jobs/{ids.uuid()}", f"/videos/user/{ids.uuid()}/{ids.uuid()}.mp4"):
        httpx2.get(site.server.url + path, trust_env=False)
    httpx2.request("BREW", f"{site.server.url}/quota", trust_env=False)

    def routes() -> set[str]:
        told = figures(f"{site.server.url}/metrics")
        return {name.split()[2] for name in told if name.startswith("rushes_request_seconds_count")}

    wait_until(lambda: {"none", f"{V1}/jobs/{{job_id}}", "/videos/user/{account_id}/{name}"} <= routes(), what="all")
    told = figures(f"{site.server.url}/metrics")
    assert not re.search(r"[0-9a-f]{8}-", " ".join(told))
    assert "BREW" not in " ".join(told)


def test_a_worker_of_its_own_shows_what_it_did(site: Site) -> None:
    told = figures(site.worker_metrics)
    assert told["rushes_provider_calls_total submit ok openai_compatible"] == 1
    assert told["rushes_provider_calls_total poll done openai_compatible"] >= 1
    assert told["rushes_provider_seconds_count download openai_compatible"] == 1
    assert told["rushes_jobs_ended_total pixverse5.5 completed"] == 1
    assert told["rushes_job_seconds_count pixverse5.5"] == 1
    assert told["rushes_credits_charged_total pixverse5.5"] == 8


def test_what_the_month_has_cost_is_of_the_whole_installation(site: Site) -> None:
    told = figures(f"{site.server.url}/metrics")
    assert told["rushes_credits spent"] == 8
    assert told["rushes_dollars openai_compatible spent"] == 0.03


def test_an_address_that_is_taken_is_told(tmp_path: Path, site: Site) -> None:
    taken = site.worker_metrics.split("/")[2]
    program = Program(["worker", "--data", str(tmp_path / "data")], {"RUSHES_WORKER_METRICS": taken})
    program.start(tmp_path / "log")
    assert program.process
    assert program.process.wait(60) == 1
    program.stop()
    assert f"The address {taken} of RUSHES_WORKER_METRICS cannot be used" in (tmp_path / "log").read_text()


def test_the_folder_of_the_counts_goes_with_the_server(tmp_path: Path) -> None:
    settings = {"TMPDIR": str(tmp_path)}
    with serving(tmp_path / "data", None, "--no-worker", settings=settings) as server:
        wait_until(lambda: any(tmp_path.glob("rushes-metrics-*/*.db")), what="a request that is counted")
        assert server.program.process
        server.program.process.send_signal(signal.SIGTERM)
        assert server.program.process.wait(30) == 0
    assert not list(tmp_path.glob("rushes-metrics-*"))


def test_dashboard_and_rules_name_only_figures_that_are_there(site: Site) -> None:
    """Each of them has been counted here, but for those of a delivery and of a failure."""
    site.vendor.end = "never"
    with site.server.client(site.server.key("default")) as api:
        job_id = submit(api)
        wait_until(lambda: "rushes_jobs video" in " ".join(figures(f"{site.server.url}/metrics")), what="its figure")
        told = {*figures(f"{site.server.url}/metrics"), *figures(site.worker_metrics)}
        assert api.post(f"/jobs/{job_id}/cancel").status_code == 200
    there = {name.split()[0] for name in told} | {"rushes_webhook_tries_total", "rushes_unavailable_total"}
    for file in (DEPLOY / "grafana" / "rushes.json", DEPLOY / "prometheus" / "rules.yaml"):
        named = set(re.findall(r"\brushes_[a-z_]+", file.read_text()))
        assert len(named) >= 5
        assert named <= there, f"{file.name}: {named - there}"
    board = json.loads((DEPLOY / "grafana" / "rushes.json").read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel.get("targets", []))
    families = {re.sub(r"_(total|sum|count|bucket|created)$", "", name) for name in there}
    assert {name for name in families if name.startswith("rushes_") and name not in asked} == set(), "all are shown"


# --- traces ---


def test_a_trace_goes_from_the_caller_through_the_job_to_the_provider(site: Site) -> None:
    def span(name: str) -> Span:
        wait_until(lambda: bool(site.collector.named(name)), what=name)
        return next(each for each in site.collector.named(name) if each.trace_id == TRACE)

    asked = span(f"POST {LISTS}")
    assert (asked.parent_id, asked.service) == ("b7ad6b7169203331", "rushes")
    assert asked.attributes["request_id"] == OURS
    assert asked.attributes["http.response.status_code"] == "200"
    queued = span("job queued")
    assert queued.parent_id == asked.span_id
    assert queued.attributes["job"] == site.job_id
    assert span("openai_compatible submit").parent_id == queued.span_id
    assert span("openai_compatible download").trace_id == TRACE


def test_without_a_collector_nothing_of_it_is_loaded() -> None:
    program = "import sys; from rushes import api, tracing; tracing.start(); print('opentelemetry' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
