"""``rushes download``: several at once, whole or not at all, and not twice."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.cli.desk import Desk, Json
from tests.conftest import Server, wait_until
from tests.servers import vendor as servers

STILLS = ("_preview.jpg", "_thumbnail.jpg", "_last_frame.png")
LINKS = ("previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl")


@pytest.fixture(scope="module")
def stocked(sqlite_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A library of three videos and an image; it is only looked at."""
    desk = Desk.at(sqlite_server, tmp_path_factory.mktemp("stocked"))
    for prompt in ("first of all", "and second", "third at last"):
        desk.made(prompt)
    desk.made("a lighthouse", "--image")
    return desk


@pytest.fixture
def desk(stocked: Desk, tmp_path: Path) -> Desk:
    return Desk(stocked.url, stocked.key, tmp_path)


def fetched(url: str) -> bytes:
    return httpx2.get(url, trust_env=False).raise_for_status().content


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_videos_and_images_are_saved_under_their_ids(desk: Desk) -> None:
    items = [*desk.told("list"), *desk.told("list", "--images")]
    said = desk.said("download", *(item["id"] for item in items), "--to", "a/new/folder")
    files = [Path(line) for line in said.splitlines()]
    assert [file.name for file in files] == [f"{item['id']}{item['url'][-4:]}" for item in items]
    assert [(desk.folder / file).read_bytes() for file in files] == [fetched(item["url"]) for item in items]


def test_stills_come_with_a_video(desk: Desk) -> None:
    [item] = desk.told("show", "last")
    desk.said("download", "last", item["id"], "--stills")
    assert names(desk.folder) == {item["id"] + ending for ending in (".mp4", *STILLS)}
    for link, ending in zip(LINKS, STILLS, strict=True):
        assert (desk.folder / f"{item['id']}{ending}").read_bytes() == fetched(item[link])


@pytest.fixture
def saved(desk: Desk) -> tuple[Desk, Json]:
    """A desk where the newest video lies with its stills, and that video."""
    desk.said("download", "last", "--stills")
    return desk, desk.told("show", "last")[0]


def test_what_is_whole_is_not_fetched_again(saved: tuple[Desk, Json]) -> None:
    desk, item = saved
    before = {path: path.stat().st_ino for path in desk.folder.iterdir()}
    away = Desk("http://127.0.0.1:1", "k", desk.folder)
    assert len(away.said("download", item["id"], "--stills").splitlines()) == 4, "nobody needs to be asked"
    assert {path: path.stat().st_ino for path in desk.folder.iterdir()} == before


@pytest.mark.parametrize("ending", [".mp4", *STILLS])
@pytest.mark.parametrize("left", [0.0, 0.5, 0.999])
def test_what_is_not_whole_is_fetched_again_alone(saved: tuple[Desk, Json], ending: str, left: float) -> None:
    desk, item = saved
    file = desk.folder / f"{item['id']}{ending}"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * left)])
    before = {path: path.stat().st_ino for path in desk.folder.iterdir() if path != file}
    desk.said("download", item["id"], "--stills")
    assert file.read_bytes() == whole
    assert {path: path.stat().st_ino for path in before} == before


def test_one_that_fails_does_not_stop_the_others(desk: Desk) -> None:
    [item] = desk.told("show", "last")
    run = desk.run("download", "nobody", item["id"], "noone")
    assert run.returncode == 1
    assert run.stdout == f"{item['id']}.mp4\n"
    assert [line.split(" in this")[0] for line in run.stderr.splitlines()] == [
        "rushes: There is no video nobody",
        "rushes: There is no video noone",
    ]


def test_a_file_in_the_way_is_a_sentence(desk: Desk) -> None:
    (desk.folder / "file").touch()
    assert "cannot be written: Not a directory." in desk.refused("download", "last", "--to", "file/x")


def test_a_folder_in_the_way_is_a_sentence(desk: Desk) -> None:
    [item] = desk.told("show", "last")
    (desk.folder / f"{item['id']}.mp4").mkdir()
    assert "is there and is no file" in desk.refused("download", "last")


def test_json_names_each_file_with_its_item(desk: Desk) -> None:
    [item] = desk.told("show", "last")
    files = [f"to/{item['id']}{ending}" for ending in (".mp4", *STILLS)]
    assert desk.told("download", "last", "--to", "to", "--stills") == [
        {"id": item["id"], "path": path} for path in files
    ]


def test_what_a_server_says_cannot_reach_the_terminal(desk: Desk) -> None:
    with servers.Vendor() as rude:
        rude.always("GET", "/aistudio/videos", servers.instead(servers.told({"message": "no\nway \x1b[2J."}, 400)))
        rude_desk = Desk(rude.url, servers.KEY, desk.folder)
        assert rude_desk.refused("download", "20261105184210123a1b2c3d4e5f60718")[:-1].isprintable()


def test_where_the_server_is_the_vendors_items_are_found_in_its_lists(desk: Desk) -> None:
    with servers.Vendor() as far:
        first, last = (far.add_video(name, b"\0\0\0\x18ftypisom") for name in ("fox", "heron"))
        far_desk = Desk(far.url, servers.KEY, desk.folder)
        assert far_desk.said("download", "last", first["id"]) == f"{last['id']}.mp4\n{first['id']}.mp4\n"
        assert "There is no video nobody in this account" in far_desk.refused("download", "nobody")


@contextmanager
def slow(url: str, *, drips: bool) -> Iterator[tuple[str, threading.Event]]:
    """Stands before a server, and of any MP4 gives only the beginning; then a byte now and then, or nothing.

    Its address, and when the beginning has been given.
    """
    began, over = threading.Event(), threading.Event()
    host, _, port = url.removeprefix("http://").partition(":")

    def carry(client: socket.socket) -> None:
        # Whoever is at the other end may be gone: that is the point.
        with contextlib.suppress(OSError), client, socket.create_connection((host, int(port))) as server:
            head = client.recv(65536)
            server.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            is_film = b".mp4" in head.split(b"\r\n")[0]
            while chunk := server.recv(4096):
                client.sendall(chunk)
                if is_film:
                    began.set()
                    while not over.wait(0.05):
                        client.sendall(server.recv(1) if drips else b"")
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            while not over.is_set():
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=carry, args=(client,), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", began
        over.set()


@pytest.mark.parametrize("drips", [True, False])
def test_ctrl_c_ends_it_at_once_leaves_no_half_file_and_says_how_to_go_on(desk: Desk, drips: bool) -> None:
    ids = [item["id"] for item in desk.told("list")]
    with slow(desk.url, drips=drips) as (url, began):
        settings = {**os.environ, **desk.settings, "RUSHES_URL": url}
        command = [sys.executable, "-m", "rushes", "download", *ids]
        with subprocess.Popen(command, env=settings, cwd=desk.folder, stderr=subprocess.PIPE) as process:
            wait_until(lambda: bool(names(desk.folder)), what="a file on its way")
            assert began.wait(30)
            process.send_signal(signal.SIGINT)
            assert process.wait(5) == 130, "not when the server's time is up"
            assert process.stderr is not None
            assert process.stderr.read() == b"Stopped; the same command again fetches what is not there yet.\n"
    assert names(desk.folder) == set()
