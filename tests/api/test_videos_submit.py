"""``POST /aistudio/videos`` (contract A2, B3, B4's form, B6's defaults), against a server that only takes requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushes.model import Job, VideoRequest
from rushes.store import jobs
from tests.api import sockets
from tests.api.library import account_of
from tests.api.takes import VIDEOS, Json
from tests.conftest import V1, Server, serving

PATH = (V1 + VIDEOS).encode()
GOOD = {"prompt": "a red fox in fresh snow"}
LINK = "https://media.example/first.png"
UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

MODELS = {
    # the contract's table: aspect ratios and durations, default first
    "pixverse5.5": (["16:9", "9:16", "1:1", "3:4", "4:3"], ["5s", "8s", "10s"]),
    "veo3.1": (["16:9", "9:16"], ["4s", "6s", "8s"]),
    "veo3.1_fast": (["16:9", "9:16"], ["4s", "6s", "8s"]),
}


@pytest.fixture
def clerk(desk: Server) -> Iterator[httpx2.Client]:
    """A client of a new account at the desk."""
    with desk.client() as client:
        yield client


def accepted(answer: httpx2.Response) -> str:
    """200 with exactly the promised shape; the job's id."""
    assert answer.status_code == 200, answer.text
    match = re.fullmatch(r'\{"success":true,"data":\{"jobId":"(' + UUID4 + r')"\}\}', answer.text)
    assert match, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))
    return match[1]


def refused(answer: httpx2.Response | sockets.Answer, *names: str) -> dict[str, str]:
    """400 INVALID_REQUEST_BODY with exactly these fields, each named once; their complaints."""
    status = answer.status_code if isinstance(answer, httpx2.Response) else answer.status
    content = answer.content if isinstance(answer, httpx2.Response) else answer.body
    assert status == 400, content
    body = json.loads(content)
    assert list(body) == ["code", "message", "fields"]
    assert body["code"] == "INVALID_REQUEST_BODY"
    assert isinstance(body["message"], str)
    assert body["message"]
    assert [set(field) for field in body["fields"]] == [{"name", "errors"}] * len(names)
    complaints = {field["name"]: field["errors"] for field in body["fields"]}
    assert set(complaints) == set(names)
    assert all(isinstance(complaint, str) and complaint for complaint in complaints.values())
    return complaints


def post(clerk: httpx2.Client, **body: object) -> httpx2.Response:
    """Send a body; ``json.dumps`` because half a surrogate pair must leave as the escape it is."""
    return clerk.post(VIDEOS, content=json.dumps(body), headers={"Content-Type": "application/json"})


def request_of(desk: Server, clerk: httpx2.Client, job_id: str) -> Job:
    account_id = account_of(desk, clerk.headers["authorization"])
    job = desk.do(lambda studio: jobs.get(studio.store, account_id, job_id))
    assert isinstance(job, Job)
    return job


def asked_of(desk: Server, clerk: httpx2.Client, job_id: str) -> VideoRequest:
    request = request_of(desk, clerk, job_id).request
    assert isinstance(request, VideoRequest)
    return request


# --- the answer ---


def test_a_prompt_alone_gives_a_job_that_is_in_progress(clerk: httpx2.Client) -> None:
    job_id = accepted(post(clerk, **GOOD))
    assert clerk.get(f"/jobs/{job_id}").json()["data"] == {"status": "in-progress"}
    assert accepted(post(clerk, **GOOD)) != job_id


def test_defaults_are_the_models_first_ratio_and_duration(desk: Server, clerk: httpx2.Client) -> None:
    request = asked_of(desk, clerk, accepted(post(clerk, **GOOD)))
    assert (request.model, request.aspect_ratio, request.seconds) == ("pixverse5.5", "16:9", 5)
    # B6: without aspectRatio the model's default holds even with a first frame
    with_frame = accepted(post(clerk, **GOOD, model="veo3.1", firstFrameImageUrl=LINK))
    request = asked_of(desk, clerk, with_frame)
    assert (request.aspect_ratio, request.seconds, request.first_frame_image_url) == ("16:9", 4, LINK)


@pytest.mark.parametrize(("model", "credit"), [("pixverse5.5", "16.0"), ("veo3.1", "160"), ("veo3.1_fast", "80")])
def test_the_charge_is_the_rate_times_the_seconds_asked_for(
    desk: Server, clerk: httpx2.Client, model: str, credit: str
) -> None:
    job_id = accepted(post(clerk, **GOOD, model=model, duration="10s" if model == "pixverse5.5" else "8s"))
    assert str(request_of(desk, clerk, job_id).credits) == credit


# --- prompt ---


@pytest.mark.parametrize(
    "prompt",
    [
        "abcde",
        "x" * 5000,
        "🎬🎬🎬🎬🎬",
        "🎬" * 5000,
        "  a  b",
        "\n\ta b",
        '{"a":1}',
        "\x01\x02\x03\x04\x05",
        "' OR 1=1;--",
    ],
    ids=["5", "5000", "5 emoji", "5000 emoji", "spaces", "breaks", "json", "controls", "sql"],
)
def test_5_to_5000_code_points_are_a_prompt_kept_as_sent(desk: Server, clerk: httpx2.Client, prompt: str) -> None:
    assert asked_of(desk, clerk, accepted(post(clerk, prompt=prompt))).prompt == prompt


@pytest.mark.parametrize(
    "prompt",
    [
        *("", "abcd", "🎬🎬🎬🎬", "x" * 5001, "🎬" * 5001),
        *(
            "          ",
            "\t\n\r\u3000\u2003 ",
            "nul \x00 inside",
            "half \ud83c a pair",
            "\udfac\udfac\udfac\udfac\udfac",
        ),
        *(None, 12345, 1.5, True, ["a", "b", "c", "d", "e"], {"text": "abcdefgh"}),
    ],
)
def test_any_other_prompt_is_a_400_that_names_it(clerk: httpx2.Client, prompt: object) -> None:
    refused(post(clerk, prompt=prompt), "prompt")


@pytest.mark.parametrize("prompt", ["abcd", "x" * 5001])
def test_the_complaint_about_a_length_speaks_of_characters(clerk: httpx2.Client, prompt: str) -> None:
    complaint = refused(post(clerk, prompt=prompt), "prompt")["prompt"]
    assert "character" in complaint
    assert "5" in complaint


def test_a_missing_prompt_is_required(clerk: httpx2.Client) -> None:
    assert "required" in refused(post(clerk), "prompt")["prompt"]


# --- model, aspectRatio, duration ---


@pytest.mark.parametrize("model", MODELS)
def test_each_ratio_and_duration_of_a_model_is_accepted(desk: Server, clerk: httpx2.Client, model: str) -> None:
    ratios, durations = MODELS[model]
    for ratio in ratios:
        for duration in durations:
            job_id = accepted(post(clerk, **GOOD, model=model, aspectRatio=ratio, duration=duration))
    request = asked_of(desk, clerk, job_id)
    assert (request.model, request.aspect_ratio, f"{request.seconds}s") == (model, ratios[-1], durations[-1])


@pytest.mark.parametrize("model", MODELS)
def test_other_ratios_and_durations_are_refused_with_the_models_list(clerk: httpx2.Client, model: str) -> None:
    ratios, durations = MODELS[model]
    for ratio in {"16:9", "9:16", "1:1", "3:4", "4:3", "21:9", "16x9", "9:16 ", "", "１６:９"} - set(ratios):
        told = refused(post(clerk, **GOOD, model=model, aspectRatio=ratio), "aspectRatio")["aspectRatio"]
        assert all(each in told for each in ratios)
    for duration in {"4s", "5s", "6s", "8s", "10s", "5", "5S", "05s", " 5s", "5.0s", "-5s", "", "s"} - set(durations):
        told = refused(post(clerk, **GOOD, model=model, duration=duration), "duration")["duration"]
        assert all(each in told for each in durations)


@pytest.mark.parametrize("model", ["", "veo", "VEO3.1", "veo3.1 ", "pixverse", "sandbox", "seedream3.0", "x" * 9999])
def test_another_model_is_refused_with_the_list_of_models(clerk: httpx2.Client, model: str) -> None:
    told = refused(post(clerk, **GOOD, model=model), "model")["model"]
    assert all(each in told for each in MODELS)


@pytest.mark.parametrize("field", ["model", "aspectRatio", "duration"])
@pytest.mark.parametrize("value", [8, 8.0, True, ["8s"], {"seconds": 8}])
def test_a_wrong_type_is_400(clerk: httpx2.Client, field: str, value: object) -> None:
    assert refused(post(clerk, **GOOD, **{field: value}), field) == {field: "must be a string"}


# --- inputs ---

INPUTS: Json = {"firstFrameImageUrl": LINK, "extendVideoUrl": LINK, "referenceImageUrls": [LINK]}


@pytest.mark.parametrize(
    "names", [(a, b) for a in INPUTS for b in INPUTS if a < b] + [tuple(INPUTS)], ids=lambda names: "+".join(names)
)
def test_at_most_one_input_more_names_each_of_them(clerk: httpx2.Client, names: tuple[str, ...]) -> None:
    complaints = refused(post(clerk, **GOOD, **{name: INPUTS[name] for name in names}), *names)
    assert all(name in complaint for complaint in complaints.values() for name in names)


@pytest.mark.parametrize("name", INPUTS)
def test_one_input_is_fine_with_the_others_null(desk: Server, clerk: httpx2.Client, name: str) -> None:
    sent = dict.fromkeys(INPUTS) | {name: INPUTS[name]}
    request = asked_of(desk, clerk, accepted(post(clerk, **GOOD, **sent)))
    kept = (request.first_frame_image_url, request.extend_video_url, request.reference_image_urls)
    wanted = {"firstFrameImageUrl": (LINK, None, ()), "extendVideoUrl": (None, LINK, ())}
    assert kept == wanted.get(name, (None, None, (LINK,)))


def test_one_to_three_references_in_their_order(desk: Server, clerk: httpx2.Client) -> None:
    links = [f"{LINK}?{number}" for number in (3, 1, 2)]
    for count in (1, 2, 3):
        job_id = accepted(post(clerk, **GOOD, referenceImageUrls=links[:count]))
        assert asked_of(desk, clerk, job_id).reference_image_urls == tuple(links[:count])


@pytest.mark.parametrize(
    "references",
    [
        [],
        [LINK] * 4,
        LINK,
        {"0": LINK},
        [None],
        [LINK, 5],
        [[LINK]],
        [LINK, "ftp://a.example/x"],
        ["", "", ""],
        7,
        False,
    ],
)
def test_other_references_are_refused(clerk: httpx2.Client, references: object) -> None:
    told = refused(post(clerk, **GOOD, referenceImageUrls=references), "referenceImageUrls")["referenceImageUrls"]
    assert all(re.match(r"(number \d )?must ", complaint) for complaint in told.split("; ")), told


BAD_URLS = [
    *("", " ", "x", "/relative", "//media.example/x", "media.example/x.png"),
    *(
        "ftp://media.example/x",
        "http://name:password@media.example/x",
        "http://name@media.example/x",
        "http://.../x",
        "http://media..example/x",
        "http://media%00.example/x",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "gopher://a/1",
    ),
    *("http://", "https:///x.png", "http:media.example/x", "http://?q", "http://:80/", "http://user@/x"),
    *("http://media.example:99999/", "http://media.example:0/", "http://media.example:port/", "http://[::1/x"),
    *("http://media.example/a b", " http://media.example/", "http://media.example/\n", "http://media.example/\x00"),
    *("http:\\\\media.example\\x", "http://media.example\\@evil.example/", "http://media.example/\x7f\u200b"),
    *("http://media.example/\ud800", "http://media.example/" + "x" * (2049 - len("http://media.example/"))),
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_what_is_no_http_url_of_at_most_2048_characters_is_refused_everywhere(clerk: httpx2.Client, url: str) -> None:
    assert len(url) <= 2049
    for name in ("firstFrameImageUrl", "extendVideoUrl", "webhook"):
        refused(post(clerk, **GOOD, **{name: url}), name)
    refused(post(clerk, **GOOD, referenceImageUrls=[LINK, url]), "referenceImageUrls")


@pytest.mark.parametrize(
    "url",
    [
        "http://a",
        "https://media.example:8443/ä/%20?x=1&y=[2]#part",
        "HTTPS://MEDIA.example/x",
        "http://[2001:db8::1]:80/x",
        "http://10.0.0.1/checked-in-the-job-not-here",
        "http://media.example/" + "x" * (2048 - len("http://media.example/")),
    ],
)
def test_urls_are_kept_as_sent(desk: Server, clerk: httpx2.Client, url: str) -> None:
    job_id = accepted(post(clerk, **GOOD, firstFrameImageUrl=url, webhook=url))
    request = asked_of(desk, clerk, job_id)
    assert (request.first_frame_image_url, request.webhook) == (url, url)


@pytest.mark.parametrize("value", [5, True, [LINK], {"url": LINK}])
def test_a_url_of_a_wrong_type_is_400(clerk: httpx2.Client, value: object) -> None:
    for name in ("firstFrameImageUrl", "extendVideoUrl", "webhook"):
        refused(post(clerk, **GOOD, **{name: value}), name)


# --- the body as a whole ---


def test_every_bad_field_is_named_at_once(clerk: httpx2.Client) -> None:
    body = {
        "aspectRatio": "2:1",
        "duration": 8,
        "firstFrameImageUrl": "ftp://x",
        "webhook": "x",
        "referenceImageUrls": [],
    }
    refused(post(clerk, prompt="abcd", **body), "prompt", *body)
    refused(post(clerk, prompt=[], model="veo9", duration=8, webhook="x"), "prompt", "model", "duration", "webhook")
    refused(post(clerk, model="veo3.1", aspectRatio="1:1", duration="5s"), "prompt", "aspectRatio", "duration")
    refused(post(clerk, **GOOD, model="veo9", aspectRatio="7:7", duration="99s"), "model", "aspectRatio", "duration")
    refused(post(clerk, **GOOD, model="veo9", aspectRatio="16:9", duration="4s"), "model")


def test_several_complaints_about_one_field_are_one_string(clerk: httpx2.Client) -> None:
    references = [5, "ftp://x", None]
    assert isinstance(refused(post(clerk, **GOOD, referenceImageUrls=references), "referenceImageUrls"), dict)


def test_unknown_fields_are_ignored(clerk: httpx2.Client) -> None:
    accepted(
        post(clerk, **GOOD, seed=7, jobId="x", Model=5, prompts=None, __proto__={}, **{"": [], "sent": {}, "self": 1})
    )


def test_null_means_not_sent(desk: Server, clerk: httpx2.Client) -> None:
    fields = ("model", "aspectRatio", "duration", "webhook", *INPUTS)
    job = request_of(desk, clerk, accepted(post(clerk, **GOOD, **dict.fromkeys(fields))))
    assert isinstance(job.request, VideoRequest)
    assert (job.request.model, job.request.aspect_ratio, job.request.seconds) == ("pixverse5.5", "16:9", 5)


def test_a_refused_body_makes_no_job(desk: Server, clerk: httpx2.Client) -> None:
    account_id = account_of(desk, clerk.headers["authorization"])
    refused(post(clerk, **GOOD, duration="9s"), "duration")
    count = "SELECT count(*) FROM jobs WHERE account_id = :account_id"
    assert desk.do(lambda studio: studio.store.rows(count, account_id=account_id)) == [(0,)]


def send(clerk: httpx2.Client, body: bytes, content_type: str | None = "application/json") -> httpx2.Response:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return clerk.post(VIDEOS, content=body, headers=headers)


GOOD_BYTES = json.dumps(GOOD).encode()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"nonsense", b"null", b"[]", b'"text"', b"7", b"{'prompt': 'a red fox'}", GOOD_BYTES + b"x"),
        *(b'{"prompt": "a red fox",}', b'{"prompt": "a red \nfox"}', b'{"prompt": "\xff\xfe abcdef"}', b"\x00"),
        *(b'{"prompt": "a red fox", "x": NaN}', b'{"prompt": "a red fox", "x": -Infinity}'),
        *(b"\xef\xbb\xbf" + GOOD_BYTES, json.dumps(GOOD).encode("utf-16"), json.dumps(GOOD).encode("utf-32")),
        *(b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"prompt": ' + b"9" * 10_000 + b"}"),
        *(b"prompt=a+red+fox", b"--x\r\n\r\n--x--"),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_malformed_json_and_what_is_no_object_is_400(clerk: httpx2.Client, body: bytes) -> None:
    answer = send(clerk, body)
    names = [field["name"] for field in answer.json()["fields"]]
    refused(answer, *names)
    assert set(names) <= {"prompt"}


@pytest.mark.parametrize("number", ["9" * 5_000, "-" + "9" * 5_000, "9" * 5_000 + ".5e9"], ids=len)
def test_an_unknown_field_may_hold_a_number_of_any_length(clerk: httpx2.Client, number: str) -> None:
    accepted(send(clerk, GOOD_BYTES[:-1] + f', "x": {number}}}'.encode()))
    refused(send(clerk, f'{{"prompt": {number}}}'.encode()), "prompt")


def test_what_is_nested_too_deeply_is_told_so(clerk: httpx2.Client) -> None:
    answer = send(clerk, GOOD_BYTES[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    refused(answer)
    assert "nested too deeply" in answer.json()["message"]


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "text/json", "application/x-www-form-urlencoded", "application/jsonx", "json"],
)
def test_a_wrong_or_missing_content_type_is_400(clerk: httpx2.Client, content_type: str | None) -> None:
    refused(send(clerk, GOOD_BYTES, content_type))


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8", "application/json ;a=b"],
)
def test_parameters_and_case_of_the_content_type_do_not_matter(clerk: httpx2.Client, content_type: str) -> None:
    accepted(send(clerk, GOOD_BYTES, content_type))


def test_of_a_key_sent_twice_the_last_counts(desk: Server, clerk: httpx2.Client) -> None:
    job_id = accepted(send(clerk, b'{"prompt": 5, "duration": "8s", "prompt": "a red fox", "duration": "10s"}'))
    request = asked_of(desk, clerk, job_id)
    assert (request.prompt, request.seconds) == ("a red fox", 10)


def padded(length: int) -> bytes:
    start = GOOD_BYTES[:-1] + b', "padding": "'
    return start + b"x" * (length - len(start) - 2) + b'"}'


def test_a_body_of_one_mebibyte_is_taken_and_one_byte_more_is_413(clerk: httpx2.Client) -> None:
    accepted(send(clerk, padded(2**20)))
    for length in (2**20 + 1, 2**23):
        answer = send(clerk, padded(length))
        assert (answer.status_code, answer.content) == (413, b'{"message":"Request Too Long"}')
    accepted(send(clerk, GOOD_BYTES))


def chunked(body: bytes) -> bytes:
    parts = (body[start : start + 65536] for start in range(0, len(body), 65536))
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_a_chunked_body_is_read_the_same(desk: Server) -> None:
    headers = [b"Host: a.example", b"Authorization: " + desk.key().encode(), b"Content-Type: application/json"]
    headers.append(b"Transfer-Encoding: chunked")
    taken = sockets.ask(desk, PATH, *headers, method=b"POST", body=chunked(padded(2**20)))
    assert taken.status == 200
    assert json.loads(taken.body)["success"] is True
    too_long = sockets.ask(desk, PATH, *headers, method=b"POST", body=chunked(padded(2**20 + 1)))
    assert (too_long.status, too_long.body) == (413, b'{"message":"Request Too Long"}')


def test_a_client_that_hangs_up_in_its_body_does_no_harm(desk: Server, clerk: httpx2.Client) -> None:
    key = desk.key().encode()
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Type: application/json\r\n" % (PATH, key)
    for _ in range(5):
        with sockets.connect(desk) as connection:
            connection.sendall(head + b"Content-Length: 1000\r\n\r\n" + GOOD_BYTES)
    accepted(post(clerk, **GOOD))


# --- anything at all ---

FIELDS = ["prompt", "model", "aspectRatio", "duration", "webhook", *INPUTS]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["veo3.1", "9:16", "8s", LINK, "http://[", "\x00", "\ud800"])
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v, max_size=3), max_leaves=8
)
BODIES = VALUES | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), VALUES, max_size=8)


@pytest.fixture(scope="module")
def some_clerk(desk: Server) -> Iterator[httpx2.Client]:
    with desk.client() as client:
        yield client


@settings(max_examples=150, deadline=None, database=None)
@given(body=BODIES)
def test_any_json_at_all_is_answered_with_200_or_400(some_clerk: httpx2.Client, body: Any) -> None:
    answer = send(some_clerk, json.dumps(body).encode())
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        refused(answer, *[field["name"] for field in answer.json()["fields"]])


@settings(max_examples=100, deadline=None, database=None)
@given(
    body=st.binary(max_size=60), content_type=st.sampled_from(["application/json", "application/json; x=\xe9", "\xff"])
)
def test_any_bytes_at_all_are_answered_with_400(some_clerk: httpx2.Client, body: bytes, content_type: str) -> None:
    answer = some_clerk.post(VIDEOS, content=body, headers=[(b"content-type", content_type.encode("latin-1"))])
    assert answer.status_code == 400


# --- routes of the operator's own ---

ROUTES = """
[models."pixverse5.5"]
provider = "sandbox"

[models.house]
provider = "sandbox"
sizes = { "9:16" = [72, 128], "2:1" = [128, 64] }
durations = [2, 3]
credits_per_second = 0.5
"""


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("routed")
    routes = folder / "routes.toml"
    routes.write_text(ROUTES)
    with serving(folder / "data", None, "--no-worker", settings={"RUSHES_CONFIG": str(routes)}) as server:
        yield server


def test_once_a_provider_is_configured_a_model_without_a_route_is_a_400_that_says_how_to_add_one(
    routed: Server,
) -> None:
    with routed.client() as api:
        told = refused(post(api, **GOOD, model="veo3.1"), "model")["model"]
        assert "rushes.toml" in told
        assert "[models." in told
        assert "pixverse5.5" in told
        assert "house" in told
        accepted(post(api, **GOOD, duration="8s"))


def test_a_model_of_the_operators_own_is_accepted_like_the_catalogues(routed: Server) -> None:
    with routed.client() as api:
        job = request_of(routed, api, accepted(post(api, **GOOD, model="house")))
        assert isinstance(job.request, VideoRequest)
        assert (job.request.aspect_ratio, job.request.seconds, str(job.credits)) == ("9:16", 2, "1.0")
        accepted(post(api, **GOOD, model="house", aspectRatio="2:1", duration="3s"))
        complaints = refused(
            post(api, **GOOD, model="house", aspectRatio="16:9", duration="5s"), "aspectRatio", "duration"
        )
        assert "9:16, 2:1" in complaints["aspectRatio"]
        assert "2s, 3s" in complaints["duration"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("prompt", 5, "must be a string"),
        ("referenceImageUrls", "http://a.example/1", "must be an array"),
        ("referenceImageUrls", [], "must hold at least 1"),
        ("referenceImageUrls", ["http://a.example/1"] * 4, "must hold at most 3"),
        ("referenceImageUrls", ["http://a.example/1", None], "number 2 must be a string"),
        (
            "referenceImageUrls",
            ["x", "http://a.example/1", "y"],
            "number 1 must be an http or https URL, without a name or a password in it; "
            "number 3 must be an http or https URL, without a name or a password in it",
        ),
    ],
)
def test_a_complaint_is_in_our_words_and_names_the_link(
    clerk: httpx2.Client, field: str, value: object, told: str
) -> None:
    answer = clerk.post(VIDEOS, json={"prompt": "a heron lifts off", field: value})
    assert answer.json()["fields"] == [{"name": field, "errors": told}]
