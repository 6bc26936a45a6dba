"""Open weights on this machine, all that needs no torch: options, tickets, the folder, what goes in and comes out."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rushes.catalogue import Input
from rushes.errors import BadSetting, InputNotAVideo, ModelUnavailable, ProviderFailed
from rushes.model import Kind
from rushes.providers import Setup
from rushes.providers.diffusers import Diffusers, delivery, inputs, spool
from rushes.providers.diffusers.options import FAMILIES, told
from rushes.providers.diffusers.process import Settings
from rushes.providers.diffusers.spool import Entry, Spool, locked
from rushes.providers.diffusers.ticket import Ticket, from_text, seed_of
from rushes.providers.facts import facts
from tests.media.clips import grey, make
from tests.providers.sandboxed import decoded

TICKET = Ticket(
    job_id="6e6b7a3c-0b0e-4a0e-9a55-1f5b1c2d3e4f",
    id="/models/x",
    pipeline="LTXConditionPipeline",
    variant=None,
    kind=Kind.VIDEO,
    prompt="a red fox",
    negative_prompt=None,
    width=80,
    height=48,
    frames=8,
    fps=8,
    steps=2,
    guidance=None,
    seed=7,
)


def model(folder: Path, pipeline: str = "LTXConditionPipeline", **index: Any) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline, **index}))
    return str(folder)


def setup(identity: str | None, kind: Kind = Kind.VIDEO, name: str = "own", **options: Any) -> Setup:
    return Setup(name, kind, options={**({"id": identity} if identity else {}), **options})


# --- options ---


@pytest.mark.parametrize("library", ["torch", "diffusers", "transformers", "accelerate"])
def test_a_library_that_is_missing_is_told_with_what_to_install(
    tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BadSetting, match=r"pip install 'rushes\[diffusers\]'"):
        Diffusers(setup(model(tmp_path)))


@pytest.mark.parametrize(
    ("pipeline", "taken"),
    [
        ("LTXPipeline", {Input.FIRST_FRAME, Input.EXTEND_VIDEO}),
        ("LTXConditionPipeline", {Input.FIRST_FRAME, Input.EXTEND_VIDEO}),
        ("WanPipeline", set()),
        ("WanImageToVideoPipeline", {Input.FIRST_FRAME}),
    ],
)
def test_what_a_folder_can_do_is_read_from_its_index(tmp_path: Path, pipeline: str, taken: set[Input]) -> None:
    assert told(setup(model(tmp_path, pipeline))).capabilities.inputs == taken


def test_wan_of_5b_takes_a_first_frame_and_shows_more_frames(tmp_path: Path) -> None:
    options = told(setup(model(tmp_path, "WanPipeline", expand_timesteps=True)))
    assert options.capabilities.inputs == {Input.FIRST_FRAME}
    assert options.fps == 24
    assert told(setup(model(tmp_path, "WanPipeline", expand_timesteps=False))).fps == 16


def test_a_route_says_it_better_than_what_is_known(tmp_path: Path) -> None:
    options = told(setup(model(tmp_path, "WanPipeline"), fps=20, steps=7))
    assert (options.fps, options.steps, options.durations) == (20, 7, (5,))


def test_schnell_needs_no_more_than_its_name() -> None:
    options = told(setup(None, Kind.IMAGE, "flux-schnell"))
    assert (options.id, options.steps, options.guidance) == ("black-forest-labs/FLUX.1-schnell", 4, 0.0)


@pytest.mark.parametrize("name", [name for name in facts("diffusers").models if "/" in name])
def test_what_is_known_of_the_hubs_models_can_be_so(name: str) -> None:
    family = FAMILIES[facts("diffusers").models[name]["pipeline"]]
    options = told(setup(name, family.kind))
    assert options.family == family
    for width, height in (options.sizes or {}).values():
        assert width % 16 == height % 16 == 0
    assert all(type(value) in (int, float) for value in options.extra.values())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"colour": "green"}, "colour: is no option"),
        ({"id": "/nowhere/ltx"}, "there is no such folder"),
        ({"id": "someone/something"}, "pipeline ="),
        ({"pipeline": "StableDiffusionPipeline"}, "can run LTXConditionPipeline"),
        ({"pipeline": "FluxPipeline"}, "makes images"),
        ({"device": "gpu"}, "device"),
        ({"dtype": "int8"}, "dtype"),
        ({"steps": 0}, "steps"),
        ({"device": "cpu", "offload": True}, "offload"),
        ({"id": 5}, "id"),
    ],
)
def test_an_option_that_cannot_be_is_told_at_start(tmp_path: Path, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadSetting, match=complaint):
        told(setup(None if "id" in options else model(tmp_path), **options))


@pytest.mark.parametrize("content", [None, "no json"])
def test_a_folder_that_is_no_model_is_told_at_start(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "model_index.json").write_text(content)
    with pytest.raises(BadSetting, match=r"model_index\.json cannot be read"):
        told(setup(str(tmp_path)))


# --- tickets ---


def test_a_ticket_comes_back_from_its_text() -> None:
    ticket = replace(TICKET, opening=(b"\xff\xd8one", b"two"), extra={"max_sequence_length": 256})
    assert from_text(ticket.text) == ticket


def test_a_ticket_of_a_later_version_can_be_read() -> None:
    assert from_text(json.dumps({**json.loads(TICKET.text), "sound": True})) == TICKET


def test_a_seed_is_the_jobs_own() -> None:
    assert seed_of(TICKET.job_id) == seed_of(TICKET.job_id) != seed_of("another")


# --- the folder ---


@pytest.fixture
def orders(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool" / "model")


def entered(orders: Spool, job_id: str, at: float | None = None) -> Entry:
    entry = orders.entry(job_id)
    entry.ask(replace(TICKET, job_id=job_id).text)
    if at is not None:
        os.utime(entry.result.with_name("order"), (at, at))
    return entry


def jobs(orders: Spool) -> list[str]:
    return [entry.ticket.job_id for entry in orders.open]


def test_orders_are_made_in_the_order_they_came(orders: Spool) -> None:
    for job, at in (("b", 200), ("a", 300), ("c", 100)):
        entered(orders, job, at)
    entered(orders, "b")  # asked for again
    assert jobs(orders) == ["c", "b", "a"]


def test_what_has_ended_or_is_cancelled_or_not_asked_for_is_not_made(orders: Spool) -> None:
    entered(orders, "done").end()
    entered(orders, "failed").end(ProviderFailed("No."))
    entered(orders, "cancelled").cancel()
    orders.entry("cancelled before it came").cancel()
    forgotten = entered(orders, "forgotten").result.with_name("asked")
    os.utime(forgotten, (time.time() - 1000,) * 2)
    entered(orders, "wanted")
    assert jobs(orders) == ["wanted"]


def test_an_end_is_told_as_it_was(orders: Spool) -> None:
    well, ill = entered(orders, "well"), entered(orders, "ill")
    well.end()
    ill.end(ModelUnavailable("It cannot be loaded."))
    assert well.error is None
    assert isinstance(ill.error, ModelUnavailable)
    assert ill.error.sentence == "It cannot be loaded."


def test_a_start_is_counted_until_it_is_forgiven(orders: Spool) -> None:
    entry = entered(orders, "a")
    for _ in range(2):
        entry.start()
    assert entry.starts == 2
    entry.forgive()
    assert entry.starts == 1


def test_a_start_is_one_from_the_beginning(orders: Spool) -> None:
    entry = entered(orders, "a")
    entry.reach(0.5)
    assert entry.progress == 0.5
    entry.start()
    assert entry.progress is None


def test_what_nobody_asks_for_is_deleted_whosever_it_is(orders: Spool, tmp_path: Path) -> None:
    old, new = entered(Spool(tmp_path / "spool" / "other"), "old"), entered(orders, "new")
    os.utime(old.result.with_name("asked"), (time.time() - 7 * 3600,) * 2)
    orders.sweep()
    assert (old.entered, new.entered is not None) == (None, True)


def test_one_process_serves_a_folder(orders: Spool) -> None:
    seen = [orders.is_served]
    with orders.served() as ours:
        seen += [ours, orders.is_served]
    assert [*seen, orders.is_served] == [False, True, True, False]


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    with locked(tmp_path / "turn", wait=True) as first, locked(tmp_path / "turn", wait=False) as second:
        assert (first, second) == (True, False)


def test_the_usual_folder_is_this_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert spool.root(None).stat().st_mode & 0o077 == 0
    shutil.rmtree(spool.root(None))
    (tmp_path / f"rushes-diffusers-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(ModelUnavailable, match="another user"):
        spool.root(None)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnavailable, match="cannot be made"):
        spool.root(tmp_path / "file" / "below")


def test_models_run_in_another_way_have_orders_of_their_own(tmp_path: Path) -> None:
    usual = Settings(str(tmp_path), "/m", "WanPipeline", None, None, None, False, 600, 7200, 900)
    same, other = replace(usual, idle_seconds=5), replace(usual, dtype="float16")
    folders = [each.spool.entry("a").result for each in (usual, same, other)]
    assert folders[0] == folders[1] != folders[2]


# --- what goes in ---


def greys(pictures: tuple[bytes, ...]) -> list[float]:
    found = [Image.open(io.BytesIO(each)) for each in pictures]
    assert {each.size for each in found} == {(64, 48)}
    return [float(np.asarray(each)[-8:, -8:].mean()) for each in found]


@pytest.mark.parametrize(("fps", "numbers"), [(24, range(15, 24)), (9, [1, 4, 7, 9, 12, 15, 17, 20, 23])])
def test_a_video_goes_on_from_its_last_frames_as_the_model_would_show_them(
    tmp_path: Path, fps: int, numbers: list[int]
) -> None:
    film = make(tmp_path / "in.mp4", width=128, height=96)
    assert greys(inputs.last_frames(film, 64, 48, fps)) == pytest.approx([grey(n) for n in numbers], abs=3)


def test_a_video_that_is_shorter_gives_what_it_has(tmp_path: Path) -> None:
    film = make(tmp_path / "in.mp4", width=128, height=96, frames=3)
    assert greys(inputs.last_frames(film, 64, 48, 24)) == pytest.approx([grey(n) for n in range(3)], abs=3)


def test_a_long_way_from_the_last_key_frame_is_gone_once(tmp_path: Path) -> None:
    film = make(tmp_path / "in.mp4", width=128, height=96, key_every=100, b_frames=2)
    assert greys(inputs.last_frames(film, 64, 48, 24)) == pytest.approx([grey(n) for n in range(15, 24)], abs=3)


def test_a_file_that_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.mp4").write_bytes(b"<html>not found</html>")
    with pytest.raises(InputNotAVideo):
        inputs.last_frames(tmp_path / "in.mp4", 64, 48, 24)


def test_a_first_frame_covers_the_size_cut_at_its_middle(tmp_path: Path) -> None:
    wide = Image.new("RGB", (200, 48), "black")
    wide.paste("white", (68, 0, 132, 48))
    wide.save(tmp_path / "in.png")
    [given] = greys(inputs.first_frame(tmp_path / "in.png", 64, 48))
    assert given > 250


# --- what comes out ---


def numbered(frames: int, height: int, width: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Each frame a grey of its own, within a frame of white."""
    made = np.ones((frames, height, width, 3), np.float32)
    made[:, 8:-8, 8:-8] = (np.arange(frames, dtype=np.float32) / 20)[:, None, None, None]
    return made


def test_a_film_is_cut_to_its_size_and_length(tmp_path: Path) -> None:
    delivery.deliver(numbered(9, 64, 96), TICKET, tmp_path / "film.mp4")
    film = decoded(tmp_path / "film.mp4")
    assert (film.width, film.height, film.pixels, film.seconds) == (80, 48, "yuv420p", 1.0)
    assert film.rate == 8
    assert [float(frame.mean()) for frame in film.frames] == pytest.approx([255 * n / 20 for n in range(8)], abs=4)


def test_an_image_is_a_png_of_its_size(tmp_path: Path) -> None:
    delivery.deliver(numbered(1, 64, 96), replace(TICKET, kind=Kind.IMAGE, frames=1), tmp_path / "image")
    with Image.open(tmp_path / "image", formats=("PNG",)) as image:
        assert (image.size, image.getextrema()) == ((80, 48), ((0, 0),) * 3)


@pytest.mark.parametrize("shape", [(7, 64, 96), (9, 40, 96), (9, 64, 64)])
def test_too_little_is_no_delivery(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ProviderFailed, match="too little"):
        delivery.deliver(numbered(*shape), TICKET, tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []
