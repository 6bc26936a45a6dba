"""A library whose files are in a bucket: made, continued, shown, deleted; its links by us, by the store or by a CDN."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import obstore
import pytest
from PIL import Image

from tests.api.conftest import Take, beside, take_of
from tests.api.takes import completed, ended, submit
from tests.cli.running import failed, rushes
from tests.conftest import Server, free_port, serving, wait_until
from tests.servers.ceph import Ceph

pytestmark = pytest.mark.xdist_group("ceph")

LINKS = ("url", "previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl")
CDN = "https://cdn.example/of/rushes"


@pytest.fixture(scope="module")
def take(bucket_server: Server) -> Iterator[Take]:
    made = take_of(bucket_server)
    yield made
    made.api.close()


@pytest.fixture(scope="module")
def objects(bucket_server: Server, ceph: Ceph) -> obstore.store.S3Store:
    """The bucket, past our code."""
    return ceph.store(bucket_server.program.settings["RUSHES_STORAGE_URL"])


def names(objects: obstore.store.S3Store) -> set[str]:
    return {each["path"] for batch in obstore.list(objects) for each in batch} - {"checks/ready"}


@pytest.fixture(scope="module")
def redirecting(bucket_server: Server) -> Iterator[Server]:
    """Another API of the same library, which sends requests for files on to the store."""
    url = bucket_server.program.settings["RUSHES_STORAGE_URL"]
    with beside(bucket_server, storage_url=url, media_redirect_seconds="600") as other:
        yield other


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=30) as client:
        yield client


# --- the whole way, through the bucket ---


def test_an_item_its_continuation_and_its_end(take: Take, objects: obstore.store.S3Store, http: httpx2.Client) -> None:
    before = names(objects)
    job_id = submit(take.api, "and then", extendVideoUrl=take.item["url"], aspectRatio="1:1")
    item = completed(take.api, job_id)
    made = names(objects) - before
    assert len(made) == 5, "four files and the sidecar"
    assert {urlsplit(item[link]).path[1:] for link in LINKS} < made
    assert [name for name in made if name.startswith("sidecars/")]
    for link in LINKS:
        shown = http.get(item[link])
        assert (shown.status_code, shown.content) == (
            200,
            bytes(obstore.get(objects, urlsplit(item[link]).path[1:]).bytes()),
        )
    assert not [path for path in (take.server.data / "media").rglob("*") if path.is_file()], "nothing on this disk"
    assert take.api.delete(f"/jobs/{job_id}/clean").status_code == 200
    wait_until(lambda: names(objects) == before, what="the files' end")
    assert http.get(item["url"]).status_code == 404


def test_an_upload_becomes_an_input(take: Take, tmp_path: Path, http: httpx2.Client) -> None:
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "teal.png")
    asked = {"fileName": "teal.png", "contentType": "image/png"}
    told = take.api.post("/media/generateurl", json=asked).json()["data"]
    content = (tmp_path / "teal.png").read_bytes()
    put = http.put(told["signedUrl"], content=content, headers={"content-type": "image/png"})
    assert put.status_code == 200, put.text
    assert http.get(told["url"]).content == content
    made = ended(take.api, submit(take.api, firstFrameImageUrl=told["url"], aspectRatio="1:1"))
    assert made["data"]["status"] == "completed", made


# --- links that lead to the store ---


def test_a_request_for_a_file_is_sent_on_to_the_store_and_ranges_with_it(
    take: Take, redirecting: Server, ceph: Ceph, http: httpx2.Client
) -> None:
    path = urlsplit(take.item["url"]).path
    sent_on = http.get(redirecting.url + path)
    assert (sent_on.status_code, sent_on.content) == (302, b"")
    assert sent_on.headers["location"].startswith(f"{ceph.url}/")
    assert sent_on.headers["cache-control"] == "private, max-age=300"
    whole = http.get(take.item["url"]).content
    for method, asked, status, content in (
        ("GET", None, 200, whole),
        ("GET", "bytes=10-99", 206, whole[10:100]),
        ("GET", "bytes=-5", 206, whole[-5:]),
        ("HEAD", None, 200, b""),
    ):
        headers = {"range": asked} if asked else {}
        got = http.request(method, redirecting.url + path, headers=headers, follow_redirects=True)
        assert (got.status_code, got.content) == (status, content)
        assert got.headers["content-type"] == "video/mp4"
    nothing = http.get(redirecting.url + path.replace(".mp4", "_preview.png"))
    assert (nothing.status_code, nothing.json()) == (404, {"message": "Not Found"})


def test_our_own_client_follows_it(take: Take, redirecting: Server, tmp_path: Path) -> None:
    with redirecting.rushes(take.key) as client:
        [item] = [each for each in client.videos.list() if each.url.endswith(urlsplit(take.item["url"]).path)]
        client.videos.download(item, tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").stat().st_size == int(httpx2.head(take.item["url"]).headers["content-length"])


def test_the_gallery_may_show_what_is_there(redirecting: Server, ceph: Ceph, http: httpx2.Client) -> None:
    policy = http.get(redirecting.url).headers["content-security-policy"]
    for part in ("img-src", "media-src", "connect-src"):
        assert f"{part} 'self' {ceph.url}" in policy


# --- links that lead to a CDN ---


@pytest.fixture(scope="module")
def fronted(ceph: Ceph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Take]:
    """A video on a server whose files something else serves; nobody answers there."""
    settings = {"RUSHES_STORAGE_URL": ceph.bucket(), "RUSHES_MEDIA_URL": f"{CDN}/"}
    with serving(tmp_path_factory.mktemp("fronted") / "data", settings=settings) as server:
        made = take_of(server)
        yield made
        made.api.close()


def test_links_start_with_the_address_of_whatever_serves_the_files(fronted: Take) -> None:
    item, api = fronted.item, fronted.api
    assert {item[link].startswith(f"{CDN}/videos/user/") for link in LINKS} == {True}
    assert api.get(f"/jobs/{fronted.job_id}").json()["data"]["url"] == item["url"]
    [changed] = api.get("/aistudio/changes").json()["changes"]
    assert changed["item"]["url"] == item["url"]
    path = item["url"].removeprefix(CDN)
    assert httpx2.get(fronted.server.url + path).status_code == 200, "ours stay good, for the CDN to ask"
    told = api.post("/media/generateurl", json={"fileName": "a.png", "contentType": "image/png"}).json()["data"]
    assert told["signedUrl"].startswith(fronted.server.url), "it is we who take uploads"
    policy = httpx2.get(fronted.server.url).headers["content-security-policy"]
    assert "media-src 'self' https://cdn.example blob:" in policy


def test_such_a_link_as_an_input_is_read_from_storage(fronted: Take) -> None:
    job = ended(fronted.api, submit(fronted.api, firstFrameImageUrl=fronted.item["lastFrameImageUrl"]))
    assert job["data"]["status"] == "completed", job


# --- a bucket that is away ---


def test_keys_are_made_and_closed_while_the_bucket_is_away(tmp_path: Path) -> None:
    settings = {"RUSHES_STORAGE_URL": "s3://films", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    assert rushes("keys", "create", cwd=tmp_path, **settings).returncode == 0
    [key_id, *_] = rushes("keys", "list", cwd=tmp_path, **settings).stdout.split()
    assert rushes("keys", "revoke", key_id, cwd=tmp_path, **settings).returncode == 0
    assert "s3://films: The storage does not answer" in failed(rushes("serve", cwd=tmp_path, **settings)), "in one line"


def test_doctor_tries_the_bucket(tmp_path: Path, ceph: Ceph) -> None:
    url = ceph.bucket()
    for storage, state, code in ((url, "ok", 0), ("s3://nothing-of-that-name", "wrong", 1)):
        run = rushes("doctor", cwd=tmp_path, RUSHES_STORAGE_URL=storage)
        assert f"{state:8}{storage}: " in run.stdout, run.stdout
        assert run.returncode == code, run.stdout
