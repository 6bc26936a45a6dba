"""Both clients against a real server: everything a program does with a library."""

from __future__ import annotations

from pathlib import Path

import pytest

from rushes import Client, errors
from rushes.client import Progress
from tests.client.conftest import Connect, all_at_once
from tests.conftest import Server
from tests.servers.vendor import Vendor, status


@pytest.fixture
def studio(connect: Connect, sqlite_server: Server) -> Client:
    """A client of a new account of a Rushes."""
    return connect(sqlite_server.url, sqlite_server.key())


def test_a_video_is_made_listed_saved_continued_and_deleted(connect: Connect, server: Server, tmp_path: Path) -> None:
    client = connect(server.url, server.key())
    assert list(client.videos.list()) == []
    fox = client.videos.generate("a red fox in fresh snow", aspect_ratio="9:16", duration=5, timeout=90)
    assert (fox.prompt, fox.aspect_ratio, fox.model) == ("a red fox in fresh snow", "9:16", "pixverse5.5")
    assert (fox.width, fox.height, fox.duration) == (720, 1280, 5)
    assert list(client.videos.list()) == [fox] == [client.videos.get(fox.id)]

    saved = client.videos.download(fox, tmp_path)
    assert saved == tmp_path / f"{fox.id}.mp4"
    assert saved.read_bytes()[4:8] == b"ftyp"

    more = client.videos.generate("it runs on", first_frame=fox, timeout=90)
    assert more.first_frame_image_url == fox.last_frame_image_url
    assert [video.id for video in client.videos.list()] == [more.id, fox.id]
    assert [video.id for video in client.videos.list(continues=fox.id)] == [more.id]
    assert client.quota().used == 16

    client.videos.delete(fox.id)
    assert [video.id for video in client.videos.list()] == [more.id]
    with pytest.raises(errors.NotFound):
        client.videos.get(fox.id)
    # Its file goes with it.
    with pytest.raises(errors.NotFound):
        client.videos.download(fox, tmp_path / "again.mp4")
    assert list(tmp_path.iterdir()) == [saved]


def test_an_image_is_made_from_a_file(studio: Client, tmp_path: Path) -> None:
    heron = studio.images.generate("a heron", style="cartoon", timeout=90)
    assert (heron.style, heron.aspect_ratio, heron.model) == ("cartoon", "1:1", "seedream3.0")
    saved = studio.images.download(heron, tmp_path)
    assert saved.read_bytes().startswith(b"\x89PNG")
    again = studio.images.generate("the same heron", reference=saved, timeout=90)
    assert again.reference_image_url is not None
    assert [image.id for image in studio.images.list()] == [again.id, heron.id] != [heron.id, again.id]
    assert studio.images.get(heron.id) == heron
    studio.images.delete(heron.id)
    assert [image.id for image in studio.images.list()] == [again.id]


def test_lists_are_walked_through_all_their_pages(studio: Client) -> None:
    jobs = all_at_once(lambda n: studio.images.generate(f"a heron {n}", wait=False).id, range(5))
    for job_id in jobs:
        assert studio.jobs.wait(job_id, timeout=90).status == "completed"
    listed = [image.id for image in studio.images.list(page_size=2)]
    assert len(set(listed)) == len(listed) == 5
    assert [len(page.items) for page in studio.images.pages(page_size=2)] == [2, 2, 1]
    first = next(studio.images.pages(page_size=2))
    assert [len(page.items) for page in studio.images.pages(first.token, page_size=2)] == [2, 1]
    assert [job.id for job in studio.jobs.list()] == [detail.id for detail in studio.jobs.details(page_size=2)]
    assert {job.id for job in studio.jobs.list()} == set(jobs)
    with pytest.raises(errors.InvalidRequest) as raised:
        list(studio.images.pages("bogus"))
    assert list(raised.value.fields) == ["nextPageKey"]

    [stretch] = studio.changes()
    # Two that enter at the same moment may do so in another order than their dates.
    assert sorted(change.id for change in stretch.changes) == sorted(listed)
    assert {change.id: change.item for change in stretch.changes} == {image.id: image for image in studio.images.list()}
    studio.images.delete(listed[0])
    [after] = studio.changes(stretch.since)
    assert [(change.kind, change.id, change.item) for change in after.changes] == [("image", listed[0], None)]


def test_filters_are_passed_on(studio: Client) -> None:
    for prompt in ("a red fox", "a grey heron"):
        studio.images.generate(prompt, timeout=90)
    heron, fox = studio.images.list()
    assert [image.id for image in studio.images.list(q="fox")] == [fox.id]
    assert [image.id for image in studio.images.list(model="flux-schnell")] == []
    assert [image.id for image in studio.images.list(created_after=fox.created)] in ([heron.id], [heron.id, fox.id])
    assert [image.id for image in studio.images.list(created_before=fox.created.isoformat())] in ([], [fox.id])


def test_what_a_server_can_make_is_told(studio: Client) -> None:
    models = {model.name: model for model in studio.models()}
    pixverse, flux = models["pixverse5.5"], models["flux-schnell"]
    assert (pixverse.kind, pixverse.configured, pixverse.credits) == ("video", True, 1.6)
    assert (pixverse.aspect_ratios[0], pixverse.durations) == ("16:9", ("5s", "8s", "10s"))
    assert (flux.kind, flux.credits, flux.durations, flux.inputs) == ("image", 0.6, (), ())
    assert studio.is_rushes()


def test_a_job_tells_how_it_goes_on(studio: Client) -> None:
    seen: list[Progress] = []
    job = studio.videos.generate("takes its time [sandbox: slow 1s]", wait=False)
    assert (job.status, job.ended, job.url) == ("in-progress", False, None)
    ended = studio.jobs.wait(job.id, timeout=90, on_progress=seen.append)
    assert (ended.id, ended.status, ended.credits) == (job.id, "completed", 8)
    assert {each.job_id for each in seen} == {job.id}
    assert "waiting" in {each.state for each in seen}
    assert "the provider" in " ".join(each.waiting_for or "" for each in seen)
    detail = studio.jobs.show(job.id)
    assert (detail.state, detail.ended, detail.kind, detail.provider) == ("completed", True, "video", "sandbox")
    assert studio.videos.get(detail.item_id or "").url == ended.url


def test_a_job_that_fails_raises_its_code(studio: Client) -> None:
    with pytest.raises(errors.ContentRejected) as raised:
        studio.videos.generate("goes wrong [sandbox: refuse]", timeout=90)
    [job] = studio.jobs.list()
    assert (raised.value.job_id, job.error_code) == (job.id, "CONTENT_REJECTED")
    assert raised.value.sentence == job.error_message


def test_a_job_is_cancelled_and_cleaned(studio: Client) -> None:
    job = studio.videos.generate("never ends [sandbox: stall]", wait=False)
    with pytest.raises(errors.StillRunning):
        studio.jobs.wait(job.id, timeout=0)
    with pytest.raises(errors.JobNotFinished):
        studio.jobs.clean(job.id)
    studio.jobs.cancel(job.id)
    with pytest.raises(errors.Cancelled):
        studio.jobs.wait(job.id, timeout=90)
    with pytest.raises(errors.JobFinished) as raised:
        studio.jobs.cancel(job.id)
    assert raised.value.status == 409
    studio.jobs.clean(job.id)
    assert studio.jobs.wait(job.id).status == "cleaned"
    assert [detail.id for detail in studio.jobs.details(state="cleaned")] == [job.id]


def test_one_intention_is_one_job(studio: Client) -> None:
    asked = [studio.videos.generate("a fox [sandbox: stall]", wait=False, idempotency_key="k-1") for _ in range(3)]
    assert len({job.id for job in asked}) == 1
    with pytest.raises(errors.IdempotencyKeyReused):
        studio.videos.generate("another fox [sandbox: stall]", wait=False, idempotency_key="k-1")
    assert len(list(studio.jobs.list())) == 1
    studio.jobs.cancel(asked[0].id)


def test_a_request_that_is_wrong_names_every_bad_field(studio: Client) -> None:
    with pytest.raises(errors.InvalidBody) as raised:
        studio.videos.generate("a", duration="7m", model="none")
    assert raised.value.status == 400
    assert {"prompt", "model"} <= set(raised.value.fields)
    with pytest.raises(errors.JobNotFound):
        studio.jobs.get("5b0a3c0e-2f6c-4d5a-9a43-0d9b8f1e2a77")


def test_a_key_that_is_unknown_is_refused(connect: Connect, sqlite_server: Server) -> None:
    with pytest.raises(errors.Unauthorized):
        connect(sqlite_server.url, "pictai_unknown").quota()


def test_what_only_rushes_has_the_vendor_says_it_has_not(vendor: Vendor, client: Client) -> None:
    for act in (client.models, lambda: list(client.changes()), lambda: client.videos.get("1")):
        with pytest.raises(errors.NotFound):
            act()
    assert len(vendor.asked) == 3


@pytest.mark.parametrize(
    ("code", "announced", "is_rushes"),
    [(403, {}, False), (404, {}, False), (403, {"rushes_version": "1"}, True), (500, {"rushes_version": "1"}, True)],
)
def test_whatever_is_answered_tells_what_the_server_is(
    connect: Connect, vendor: Vendor, code: int, announced: dict[str, str], is_rushes: bool
) -> None:
    vendor.always("GET", "/quota", status(code, **announced))
    assert connect(vendor.url, tries=1).is_rushes() is is_rushes


@pytest.mark.parametrize(("code", "kind"), [(429, errors.TooMany), (500, errors.ServerFailed)])
def test_what_a_server_is_that_cannot_answer_now_is_not_known(
    connect: Connect, vendor: Vendor, code: int, kind: type[errors.RushesError]
) -> None:
    vendor.always("GET", "/quota", status(code))
    with pytest.raises(kind):
        connect(vendor.url, tries=1).is_rushes()


def test_a_gateway_that_refuses_does_not_unsay_what_was_announced(connect: Connect) -> None:
    with Vendor(announces=True) as vendor:
        client = connect(vendor.url, tries=1)
        client.quota()
        vendor.always("GET", "/quota", status(403))
        with pytest.raises(errors.Unauthorized):
            client.quota()
        assert client.is_rushes()
