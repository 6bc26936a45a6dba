"""What the network and the server do wrong: a right result or one clear error, never half a page or two jobs."""

from __future__ import annotations

import json
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from rushes import Client, errors
from tests.client.conftest import Connect, all_at_once
from tests.conftest import free_port
from tests.servers.vendor import Answer, Vendor, cut, cut_body, drip, first, instead, silence, status, told

VIDEOS = "/aistudio/videos"
POST = "POST"


@pytest.fixture
def rushes() -> Iterator[Vendor]:
    """A server that says it honours idempotency keys, and does."""
    with Vendor(announces=True) as running:
        yield running


def outcome(act: Callable[[], Any]) -> Any:
    """What comes of it: the result, or the error if it is one of ours."""
    try:
        return act()
    except errors.RushesError as error:
        return error


def submit(client: Client, prompt: str = "a red fox") -> str:
    return client.videos.generate(prompt, wait=False).id


# Half an answer


@pytest.mark.parametrize("form", [{}, {"chunked": True}], ids=["length", "chunked"])
def test_a_page_cut_at_any_byte_is_asked_for_again_and_whole(
    vendor: Vendor, client: Client, form: dict[str, bool]
) -> None:
    whole = vendor.lists["videos"] = [ITEM]
    length = len(vendor.raw("GET", VIDEOS, **form))
    vendor.each("GET", VIDEOS, first(lambda asked: cut(int(asked.query["q"]), **form), lambda asked: asked.query["q"]))

    pages = all_at_once(lambda n: [video.json for video in client.videos.list(q=str(n))], range(length + 1))

    assert pages == [whole] * (length + 1)
    asked = Counter(asked.query["q"] for asked in vendor.of("GET", VIDEOS))
    assert asked == {str(n): 2 if n < length else 1 for n in range(length + 1)}


def test_a_page_whose_end_is_the_connections_is_whole_or_an_error(vendor: Vendor, client: Client) -> None:
    whole = [vendor.add_video()]
    raw = vendor.raw("GET", VIDEOS, unbounded=True)
    head = raw.index(b"\r\n\r\n") + 4
    vendor.each("GET", VIDEOS, lambda asked: cut(int(asked.query["q"]), unbounded=True))

    def walk(n: int) -> Any:
        return outcome(lambda: [video.json for video in client.videos.list(q=str(n))])

    outcomes = all_at_once(walk, range(head, len(raw) + 1))
    assert [type(each) for each in outcomes[:-1]] == [errors.BadAnswer] * (len(raw) - head)
    assert outcomes[-1] == whole


def test_a_post_cut_at_any_byte_is_not_sent_to_the_vendor_again_and_the_error_says_so(
    vendor: Vendor, client: Client
) -> None:
    prompts = [f"cut {n:04d}" for n in range(len(vendor.raw(POST, VIDEOS)))]
    vendor.each(POST, VIDEOS, lambda asked: cut(int(asked.json["prompt"][4:])))

    outcomes = all_at_once(lambda prompt: outcome(lambda: submit(client, prompt)), prompts)

    assert {type(each) for each in outcomes} == {errors.AnswerLost}
    assert Counter(asked.json["prompt"] for asked in vendor.of(POST)) == dict.fromkeys(prompts, 1)
    assert "not sent again" in outcomes[0].sentence
    assert not outcomes[0].retryable


def test_a_post_cut_at_any_byte_makes_one_job_where_keys_are_honoured(connect: Connect, rushes: Vendor) -> None:
    client = connect(rushes.url)
    length = len(rushes.raw(POST, VIDEOS))
    rushes.jobs.clear()
    prompts = [f"cut {n:04d}" for n in range(length + 1)]
    rushes.each(
        POST, VIDEOS, first(lambda asked: cut(int(asked.json["prompt"][4:])), lambda asked: asked.json["prompt"])
    )

    jobs = all_at_once(lambda prompt: submit(client, prompt), prompts)

    assert len(set(jobs)) == len(rushes.jobs) == len(prompts)
    sent = Counter(asked.json["prompt"] for asked in rushes.of(POST))
    assert sent == {prompt: 2 if prompt != prompts[-1] else 1 for prompt in prompts}
    keys = {(asked.json["prompt"], asked.headers["idempotency-key"]) for asked in rushes.of(POST)}
    assert len(keys) == len(prompts)


def test_a_delete_that_is_cut_off_is_not_sent_again(connect: Connect, rushes: Vendor) -> None:
    rushes.add_job("j", status="completed")
    rushes.always("DELETE", "/jobs/j/clean", cut(20))
    with pytest.raises(errors.AnswerLost):
        connect(rushes.url).jobs.clean("j")
    assert len(rushes.of("DELETE")) == 1


def videos(client: Client) -> list[str]:
    return [video.id for video in client.videos.list()]


def a_page_is_cut(vendor: Vendor, client: Client) -> None:
    vendor.always("GET", VIDEOS, cut(100))
    with pytest.raises(errors.ServerUnreachable):
        videos(client)
    assert len(vendor.asked) == 5


def the_second_page_is_cut(vendor: Vendor, client: Client) -> None:
    whole = [vendor.add_video() for _ in range(5)][::-1]
    vendor.next("GET", VIDEOS, None)
    vendor.always("GET", VIDEOS, cut(900))
    listed = client.videos.list()
    assert [next(listed).json for _ in range(3)] == whole[:3]
    with pytest.raises(errors.ServerUnreachable):
        next(listed)
    assert len(vendor.asked) == 6


def the_server_cannot(vendor: Vendor, client: Client) -> None:
    vendor.always("GET", VIDEOS, status(503))
    with pytest.raises(errors.Unavailable) as raised:
        videos(client)
    assert (raised.value.status, len(vendor.asked)) == (503, 5)


def a_post_is_lost_each_time(vendor: Vendor, client: Client) -> None:
    vendor.announces = True
    vendor.always(POST, VIDEOS, cut(0))
    with pytest.raises(errors.AnswerLost):
        submit(client)
    keys = [asked.headers["idempotency-key"] for asked in vendor.of(POST)]
    assert (len(keys), len(set(keys))) == (5, 1)


def a_post_is_lost_and_then_refused(vendor: Vendor, client: Client) -> None:
    """The first may have been taken, whatever is said of the others."""
    vendor.announces = True
    vendor.next(POST, VIDEOS, cut(0), *[status(503)] * 4)
    with pytest.raises(errors.AnswerLost) as raised:
        submit(client)
    assert raised.value.status == 503


def a_file_is_never_as_long_as_told(vendor: Vendor, client: Client) -> None:
    content = b"\x00\x00\x00\x18ftypisom"
    vendor.files["fox.mp4"] = (content, '"1"')
    lie = cut_body(len(content), content_length="1000")
    vendor.each("GET", "/files/fox.mp4", lambda asked: None if "range" in asked.headers else lie)
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(errors.ServerUnreachable):
            client.download(f"{vendor.url}/files/fox.mp4", Path(folder) / "fox.mp4")
        assert list(Path(folder).iterdir()) == []
    assert ["range" in asked.headers for asked in vendor.asked] == [False, True, False, True, False]


def nobody_listens(vendor: Vendor, client: Client) -> None:
    vendor.__exit__(None, None, None)
    with pytest.raises(errors.ServerUnreachable):
        videos(client)


def nobody_listens_to_a_post(vendor: Vendor, client: Client) -> None:
    """No byte has left, so that nothing is lost."""
    vendor.__exit__(None, None, None)
    with pytest.raises(errors.ServerUnreachable):
        submit(client)


def test_after_five_tries_the_error_tells_what_is_known(connect: Connect) -> None:
    """Some seconds each, so all at once."""

    def run(case: Callable[[Vendor, Client], None]) -> None:
        with Vendor() as vendor:
            case(vendor, connect(vendor.url))

    pages = (a_page_is_cut, the_second_page_is_cut, the_server_cannot)
    posts = (a_post_is_lost_each_time, a_post_is_lost_and_then_refused)
    all_at_once(run, [*pages, *posts, a_file_is_never_as_long_as_told, nobody_listens, nobody_listens_to_a_post])


# Not now


def test_a_get_is_sent_again_when_the_server_cannot_now(vendor: Vendor, client: Client) -> None:
    codes = ["429", "500", "502", "503", "504"]
    vendor.each("GET", VIDEOS, first(lambda asked: status(int(asked.query["q"])), lambda asked: asked.query["q"]))
    assert all_at_once(lambda code: list(client.videos.list(q=code)), codes) == [[]] * len(codes)
    assert Counter(asked.query["q"] for asked in vendor.asked) == dict.fromkeys(codes, 2)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (500, errors.ServerFailed),
        (503, errors.Unavailable),
        # A gateway passed it on and did not hear of it again.
        (502, errors.AnswerLost),
        (504, errors.AnswerLost),
    ],
)
def test_a_post_that_may_have_been_taken_is_not_sent_to_the_vendor_again(
    vendor: Vendor, client: Client, code: int, kind: type[errors.RushesError]
) -> None:
    vendor.always(POST, VIDEOS, status(code))
    with pytest.raises(kind) as raised:
        submit(client)
    assert type(raised.value) is kind
    assert raised.value.status == code
    assert len(vendor.of(POST)) == 1


def test_a_post_is_sent_again_where_keys_are_honoured(connect: Connect, rushes: Vendor) -> None:
    codes = ["429", "500", "502", "503", "504"]
    client = connect(rushes.url)
    rushes.each(
        POST, VIDEOS, first(lambda asked: status(int(asked.json["prompt"])), lambda asked: asked.json["prompt"])
    )
    jobs = all_at_once(lambda code: submit(client, code), codes)
    sent = Counter(asked.headers["idempotency-key"] for asked in rushes.of(POST))
    assert (len(sent), set(sent.values())) == (len(codes), {2})
    assert len(set(jobs)) == len(rushes.jobs) == len(codes)


def test_a_refused_post_costs_one_request(vendor: Vendor, client: Client) -> None:
    vendor.always(POST, VIDEOS, instead(told({"code": "INVALID_REQUEST_BODY", "message": "No.", "fields": []}, 400)))
    with pytest.raises(errors.InvalidBody):
        submit(client)
    assert [asked.method for asked in vendor.asked] == [POST]


def test_too_many_is_waited_out_for_as_long_as_the_server_says_a_post_too(vendor: Vendor, client: Client) -> None:
    vendor.next(POST, VIDEOS, status(429, retry_after="1"))
    submit(client)
    one, two = vendor.asked
    assert two.at - one.at >= 1
    assert len(vendor.jobs) == 2  # the fake refuses only after it has taken it; a real one does not


def test_a_long_wait_is_left_to_the_caller(vendor: Vendor, client: Client) -> None:
    vendor.always("GET", "/quota", status(429, retry_after="3600"))
    with pytest.raises(errors.TooMany) as raised:
        client.quota()
    assert raised.value.retry_after == 3600
    assert len(vendor.asked) == 1


def test_a_post_waits_for_a_server_that_is_not_there_yet(connect: Connect) -> None:
    """No byte has left, so it may be sent to the vendor too."""
    vendor = Vendor(port=free_port())
    begin = threading.Timer(0.3, vendor.__enter__)
    begin.start()
    try:
        assert submit(connect(vendor.url))
        assert len(vendor.of(POST)) == 1
    finally:
        begin.join()
        vendor.__exit__(None, None, None)


# Slow


def test_silence_is_an_end_too(connect: Connect, vendor: Vendor) -> None:
    client = connect(vendor.url, timeout=0.3)
    vendor.next("GET", "/quota", silence)
    assert client.quota().limit == 22000
    vendor.always(POST, VIDEOS, silence)
    with pytest.raises(errors.AnswerLost):
        submit(client)
    assert len(vendor.of(POST)) == 1


def test_a_body_that_trickles_is_not_waited_for_for_ever(connect: Connect, vendor: Vendor) -> None:
    head = vendor.raw("GET", "/quota").index(b"\r\n\r\n") + 4
    vendor.next("GET", "/quota", drip(0.1, whole=head))
    assert connect(vendor.url, timeout=0.4).quota().used == 690
    assert len(vendor.asked) == 2
    vendor.always("GET", "/quota", drip(0.1, whole=head))
    with pytest.raises(errors.ServerUnreachable, match="was not there after"):
        connect(vendor.url, timeout=0.4, tries=1).quota()


def test_a_post_whose_answer_trickles_is_lost(connect: Connect, vendor: Vendor) -> None:
    head = vendor.raw(POST, VIDEOS).index(b"\r\n\r\n") + 4
    vendor.always(POST, VIDEOS, drip(0.1, whole=head))
    with pytest.raises(errors.AnswerLost):
        submit(connect(vendor.url, timeout=0.4))
    assert len(vendor.of(POST)) == 1


# Something else


ITEM = {
    "url": "http://a/b.mp4",
    "id": "2026",
    "prompt": "a fox",
    "aspectRatio": "1:1",
    "createdDate": "2026-04-09T18:51:47.967Z",
    "model": "m",
    "width": 1,
    "height": 1,
    "duration": "5s",
}


NO_PAGES = [
    *(b"<html><title>Welcome to the hotel's network</title>", b"", b"\xff\xfe", b"null", b"5", b"[]", b"{}"),
    *(b'{"items":', b'{"items":{}}', b'{"items":"abc"}', b'{"items":[1]}', b'{"items":[null]}', b'{"items":[{}]}'),
    *(b'{"items":[],"nextPageKey":7}', b'{"message":"Unauthorized"}', b"[" * 100_000),
    *(
        json.dumps({"items": [{**ITEM, **wrong}]}).encode()
        for wrong in (
            *({"url": None}, {"id": 7}, {"prompt": ["a"]}, {"width": "1"}, {"height": True}, {"width": 1e999}),
            *({"duration": 5}, {"duration": "long"}, {"createdDate": "yesterday"}, {"createdDate": 5}),
            *({"previewImageUrl": 5}, {"referenceImageUrls": "http://a"}, {"referenceImageUrls": [5]}),
        )
    ),
]


def test_what_is_no_page_is_a_bad_answer(vendor: Vendor, client: Client) -> None:
    for body in NO_PAGES:
        vendor.always("GET", VIDEOS, instead(Answer(200, body, {"Content-Type": "text/html"})))
        with pytest.raises(errors.BadAnswer):
            print(body[:200], list(client.videos.list()))
    assert len(vendor.asked) == len(NO_PAGES)


def test_an_item_with_no_more_than_it_must_have_is_one(vendor: Vendor, client: Client) -> None:
    vendor.lists["videos"] = [ITEM]
    [video] = client.videos.list()
    assert (video.json, video.preview_image_url, video.reference_image_urls) == (ITEM, None, ())


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b'{"success":true,"data":{}}', b'{"success":true,"data":{"jobId":5}}']
)
def test_a_submission_answered_with_something_else_is_a_bad_answer(vendor: Vendor, client: Client, body: bytes) -> None:
    vendor.always(POST, VIDEOS, instead(Answer(200, body)))
    with pytest.raises(errors.BadAnswer):
        submit(client)
    assert len(vendor.of(POST)) == 1


@pytest.mark.parametrize("turn", [["page-3"], ["page-3", "page-6", "page-3"]], ids=["itself", "in a circle"])
@pytest.mark.parametrize("noun", ["videos", "images", "jobs"])
def test_a_list_that_leads_back_is_an_error_and_no_end(
    vendor: Vendor, client: Client, noun: str, turn: list[str]
) -> None:
    for n in range(12):
        vendor.add_video(f"v{n}")
        vendor.add_image(f"i{n}")
        vendor.add_job(f"j{n}", status="completed")
    tokens = iter(turn)
    vendor.tokens = lambda token: next(tokens, "page-3")
    with pytest.raises(errors.BadAnswer, match="cannot be walked"):
        list(islice(getattr(client, noun).list(), 100))


def test_changes_that_lead_back_are_an_error(vendor: Vendor, client: Client) -> None:
    vendor.always("GET", "/aistudio/changes", instead(told({"changes": [], "since": "7", "more": True})))
    with pytest.raises(errors.BadAnswer):
        list(islice(client.changes(), 10))
    assert len(vendor.asked) == 2


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_the_api_does_not_take_the_key_elsewhere(vendor: Vendor, client: Client, code: int) -> None:
    with Vendor() as other:
        vendor.always("GET", "/quota", instead(Answer(code, b"", {"Location": f"{other.url}/pictoryapis/v1/quota"})))
        with pytest.raises(errors.BadAnswer) as raised:
            client.quota()
        assert raised.value.status == code
        assert other.asked == []


# Lists


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 7])
def test_a_list_is_everything_once_and_asks_for_no_page_too_many(vendor: Vendor, client: Client, count: int) -> None:
    for n in range(count):
        vendor.add_video(f"v{n}")
        vendor.add_image(f"i{n}")
        vendor.add_job(f"j{n}", status="completed")
    assert [video.json for video in client.videos.list()] == vendor.lists["videos"]
    assert [image.json for image in client.images.list()] == vendor.lists["images"]
    assert [job.id for job in client.jobs.list()] == list(vendor.jobs)
    assert len(vendor.asked) == 3 * max(1, -(-count // 3))


def test_a_page_is_asked_for_when_it_is_needed(vendor: Vendor, client: Client) -> None:
    for n in range(7):
        vendor.add_video(f"v{n}")
    listed = client.videos.list()
    assert vendor.asked == []
    for _ in range(3):
        next(listed)
    assert len(vendor.asked) == 1
    next(listed)
    assert len(vendor.asked) == 2


def test_one_client_serves_many_threads(vendor: Vendor, client: Client) -> None:
    for n in range(7):
        vendor.add_video(f"v{n}")
    walks = all_at_once(lambda _: [video.json for video in client.videos.list()], range(32))
    assert walks == [vendor.lists["videos"]] * 32


# What is given


@pytest.mark.parametrize(
    "url",
    ["", "host", "ftp://host", "http://", "http://h?a", "http://h#a", "http://[::1", "http://h:99999", "http://a:b@h"],
)
def test_what_is_no_address_is_said_at_once(connect: Connect, url: str) -> None:
    with pytest.raises(errors.InvalidQuery):
        connect(url)


def test_a_proxy_that_cannot_be_used_is_said_at_once(
    connect: Connect, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1:1")
    with pytest.raises(errors.InvalidQuery, match="The proxy or the certificates"):
        connect(vendor.url)


def test_no_tries_are_one(connect: Connect) -> None:
    with pytest.raises(errors.ServerUnreachable):
        connect(f"http://127.0.0.1:{free_port()}", tries=0).quota()


def test_what_is_no_text_is_not_sent(vendor: Vendor, client: Client) -> None:
    with pytest.raises(errors.InvalidQuery, match="half a surrogate"):
        submit(client, "a fox \udce9")
    with pytest.raises(errors.InvalidQuery, match="half a surrogate"):
        next(client.videos.list(q="\udce9"))
    with pytest.raises(errors.NotFound):
        client.jobs.get("\udce9")


@pytest.mark.parametrize("end", ["", "/", "/pictoryapis", "/pictoryapis/", "/pictoryapis/v1", "/pictoryapis/v1/"])
def test_an_address_may_end_where_it_likes(connect: Connect, vendor: Vendor, end: str) -> None:
    assert connect(vendor.url + end).quota().used == 690


def test_a_key_may_have_been_copied_with_its_line_end(connect: Connect, vendor: Vendor) -> None:
    assert connect(vendor.url, " pictai_of_the_vendors_own\n").quota().used == 690


@pytest.mark.parametrize("key", ["pictai_ü", "pictai_a\nX-Other: b", "a\x00b"])
def test_what_cannot_be_a_key_is_said_at_once(connect: Connect, vendor: Vendor, key: str) -> None:
    with pytest.raises(errors.InvalidQuery):
        connect(vendor.url, key)
    with pytest.raises(errors.InvalidQuery):
        connect(vendor.url).videos.generate("a fox", idempotency_key=key)
    assert vendor.asked == []


@pytest.mark.parametrize("job_id", ["..", "../quota", "a/b", "%2e%2e/quota", "?x=1", "#", "🎬"])
def test_an_id_stays_one_segment_of_the_path(vendor: Vendor, client: Client, job_id: str) -> None:
    with pytest.raises(errors.JobNotFound):
        client.jobs.get(job_id)
    [asked] = vendor.asked
    assert asked.path.count("/") == 2
    assert unquote(asked.path) == f"/jobs/{job_id}"


def test_what_is_not_given_is_not_sent(vendor: Vendor, client: Client) -> None:
    submit(client)
    client.videos.generate("a red fox", wait=False, duration=8, aspect_ratio="1:1")
    bare, more = vendor.of(POST)
    assert bare.json == {"prompt": "a red fox"}
    assert more.json == {"prompt": "a red fox", "duration": "8s", "aspectRatio": "1:1"}
    assert bare.headers["idempotency-key"] != more.headers["idempotency-key"]
    list(client.videos.list())
    assert vendor.asked[-1].query == {}


def test_a_video_without_a_last_frame_begins_nothing(vendor: Vendor, client: Client) -> None:
    vendor.lists["videos"] = [ITEM]
    [video] = client.videos.list()
    with pytest.raises(errors.InvalidQuery):
        client.videos.generate("a fox", first_frame=video)
    assert vendor.of(POST) == []


def test_the_vendor_makes_a_video_and_an_image_too(vendor: Vendor, client: Client) -> None:
    video = client.videos.generate("a red fox", timeout=30)
    image = client.images.generate("a heron", timeout=30)
    assert (video.json, image.json) == (vendor.lists["videos"][0], vendor.lists["images"][0])
    assert not client.is_rushes()


def test_a_first_frame_of_ones_own_is_uploaded(vendor: Vendor, client: Client, tmp_path: Any) -> None:
    picture = tmp_path / "frame.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500_000))
    vendor.next("PUT", "/uploads/1-frame.png", cut(0))
    client.videos.generate("a fox", first_frame=picture, wait=False)
    assert vendor.of(POST, VIDEOS)[0].json["firstFrameImageUrl"] == f"{vendor.url}/files/2-frame.png"
    assert vendor.uploads["2-frame.png"] == picture.read_bytes()
    assert ["authorization" in asked.headers for asked in vendor.of("PUT")] == [False, False]
    assert {asked.headers["content-type"] for asked in vendor.of("PUT")} == {"image/png"}


def test_what_cannot_be_an_input_is_not_uploaded(vendor: Vendor, client: Client, tmp_path: Any) -> None:
    with pytest.raises(errors.InvalidQuery, match="txt"):
        client.upload(tmp_path / "notes.txt")
    assert vendor.asked == []


def test_a_link_for_an_upload_must_be_one(vendor: Vendor, client: Client, tmp_path: Any) -> None:
    picture = tmp_path / "frame.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    for signed in ("file:///etc/passwd", "/uploads/1", 5, None):
        answer = told({"success": True, "data": {"signedUrl": signed, "url": "http://a/b"}})
        vendor.next(POST, "/media/generateurl", instead(answer))
        with pytest.raises(errors.BadAnswer):
            client.upload(picture)
