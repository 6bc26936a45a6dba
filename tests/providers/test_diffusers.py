"""Open weights on this machine: tiny models, loaded and run as large ones are, in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rushes.errors import Cancelled, JobFailed, ModelUnavailable, ProviderFailed, ProviderUnreachable
from rushes.model import Kind
from rushes.providers import Done, Inputs, Order, Pending, Refused, Setup
from rushes.providers.diffusers import Diffusers, delivery
from rushes.providers.diffusers.ticket import from_text
from tests.conftest import serving, wait_until
from tests.media.clips import make
from tests.providers.sandboxed import Film, decoded, image, psnr, scenery

MISSING = [library for library in ("torch", "diffusers", "transformers", "accelerate") if find_spec(library) is None]
pytestmark = [
    pytest.mark.diffusers,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (pip install 'rushes[diffusers]')"),
]

ROOT = Path(__file__).parents[2]
SECONDS = 120
FREE = 0
ENDLESS: dict[str, Any] = {"steps": 400}
"""Some seconds of work even for a tiny model."""


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "tests.providers.tiny", *arguments]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders named for what they hold: ``ltx``, ``wan``, ``wan-picture``, ``wan-both``, ``flux``."""
    os.environ["OMP_NUM_THREADS"] = "1"  # so little work is not worth a second thread, least of all on a busy machine
    folder = tmp_path_factory.mktemp("models")
    subprocess.run(program("models", str(folder)), cwd=ROOT, check=True, capture_output=True, timeout=SECONDS)
    return folder


@dataclass
class Stand:
    """Providers that share a folder, as a machine's workers do; the processes live until all is closed."""

    models: Path
    folder: Path
    providers: list[Diffusers] = field(default_factory=list)

    def provider(self, name: str = "ltx", kind: Kind = Kind.VIDEO, **options: Any) -> Diffusers:
        usual = {"id": str(self.models / name), "folder": str(self.folder), "device": "cpu"}
        more = {"steps": 2, "fps": 8} if kind is Kind.VIDEO else {}
        self.providers.append(Diffusers(Setup("own", kind, options={**usual, **more, **options})))
        return self.providers[-1]

    def close(self) -> None:
        for provider in self.providers:
            asyncio.run(provider.close())

    @property
    def processes(self) -> list[int]:
        """The models' processes that run here: their command line names the folder."""
        return [pid for pid in pids() if str(self.folder) in command(pid)]


def pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
    return words if "diffusers import maker" in words else ""


@pytest.fixture(scope="module")
def shared(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """For what can do with processes that others have started."""
    stand = Stand(models, tmp_path_factory.mktemp("shared"))
    stand.provider()
    yield stand
    stand.close()


@pytest.fixture
def alone(models: Path, tmp_path: Path) -> Iterator[Stand]:
    """For what does something to its process."""
    stand = Stand(models, tmp_path / "alone")
    yield stand
    stand.close()
    assert stand.processes == []


def order(prompt: str = "a red fox", inputs: Inputs | None = None, **facts: Any) -> Order:
    usual = {
        "job_id": str(uuid.uuid4()),
        "model": "own",
        "aspect_ratio": "5:3",
        "width": 80,
        "height": 48,
        "seconds": 1,
    }
    return Order(prompt=prompt, inputs=inputs or Inputs(), **{**usual, **facts})


def submitted(provider: Diffusers, wanted: Order) -> str:
    return asyncio.run(provider.submit(wanted))


def until(provider: Diffusers, ticket: str, true: Callable[[Any], bool], unreachable: int = 0) -> Any:
    """Poll until an answer is that; it may be unreachable so many times."""
    told: list[Any] = [None]

    def asked() -> bool:
        nonlocal unreachable
        try:
            told[0] = asyncio.run(provider.poll(ticket))
        except ProviderUnreachable:
            unreachable -= 1
            assert unreachable >= 0
            return False
        return true(told[0])

    wait_until(asked, SECONDS, "what the poll should tell")
    return told[0]


def ended(provider: Diffusers, ticket: str, unreachable: int = 0) -> Any:
    return until(provider, ticket, lambda told: not isinstance(told, Pending), unreachable)


def at_work(provider: Diffusers, ticket: str, unreachable: int = 0) -> float:
    """How far it is, once it is in the midst of it."""
    told = until(provider, ticket, lambda told: bool(not isinstance(told, Pending) or told.progress), unreachable)
    assert isinstance(told, Pending)
    assert told.progress is not None
    return told.progress


def made(provider: Diffusers, wanted: Order, to: Path) -> Path:
    ticket = submitted(provider, wanted)
    done = ended(provider, ticket)
    assert isinstance(done, Done), done
    assert done.cost == FREE
    asyncio.run(provider.download(done, to))
    return to


def refusal(provider: Diffusers, unreachable: int = 0) -> JobFailed:
    """Why an order came to nothing."""
    told = ended(provider, submitted(provider, order()), unreachable)
    assert isinstance(told, Refused)
    return told.error


def from_black_and_white(provider: Diffusers, folder: Path) -> list[Film]:
    """A film that is to open in black, and one in white."""
    films = []
    for colour in ("black", "white"):
        Image.new("RGB", (160, 96), colour).save(folder / f"{colour}.png")
        wanted = order(inputs=Inputs(first_frame=folder / f"{colour}.png"))
        films.append(decoded(made(provider, wanted, folder / f"{colour}.mp4")))
    assert [len(film.frames) for film in films] == [8, 8]
    return films


# --- what is made ---


def test_words_become_a_film_of_the_size_and_length_asked_for(shared: Stand, tmp_path: Path) -> None:
    """80 x 48 and 16 frames are no multiple of 32, and none of 8 and one."""
    film = decoded(made(shared.provider(), order(seconds=2), tmp_path / "film.mp4"))
    assert (film.width, film.height, len(film.frames), film.seconds, film.pixels) == (80, 48, 16, 2.0, "yuv420p")
    assert film.rate == 8


def test_progress_is_told_by_step(shared: Stand) -> None:
    provider = shared.provider(steps=200)
    ticket, known = submitted(provider, order()), [0.0]

    def is_done(told: Any) -> bool:
        known.append(getattr(told, "progress", 1.0) or 0.0)
        return isinstance(told, Done)

    until(provider, ticket, is_done)
    assert known == sorted(known)
    assert len({share for share in known if 0 < share < 1}) > 3
    assert all(abs(share * 201 - round(share * 201)) < 0.1 for share in known[:-1])  # so many of 200 steps and the end


def test_the_same_job_made_again_comes_out_alike_and_another_does_not(shared: Stand, tmp_path: Path) -> None:
    """Alike, not the same to the bit: a processor adds in another order where numbers lie elsewhere in memory."""
    provider, wanted = shared.provider(), order()
    first = decoded(made(provider, wanted, tmp_path / "first.mp4"))
    shutil.rmtree(next(shared.folder.glob(f"*/{wanted.job_id}")))
    assert likeness(first, decoded(made(provider, wanted, tmp_path / "again.mp4"))) > 40
    assert likeness(first, decoded(made(provider, order(), tmp_path / "other.mp4"))) < 25


def test_a_seed_of_the_route_makes_different_jobs_alike(shared: Stand, tmp_path: Path) -> None:
    provider = shared.provider(seed=7)
    films = [decoded(made(provider, order(), tmp_path / f"{number}.mp4")) for number in range(2)]
    assert likeness(*films) > 40


def likeness(one: Film, other: Film) -> float:
    return min(psnr(old, new) for old, new in zip(one.frames, other.frames, strict=True))


def test_a_first_frame_decides_how_it_opens(shared: Stand, tmp_path: Path) -> None:
    black, white = from_black_and_white(shared.provider(seed=7), tmp_path)
    assert psnr(black.frames[0], white.frames[0]) < 30


def test_an_extension_is_what_the_model_makes_behind_the_clip(shared: Stand, tmp_path: Path) -> None:
    """17 frames from 9: the new segment opens on the ninth, which is the clip's last."""
    clip = make(tmp_path / "clip.mp4", width=128, height=128, picture=moving)
    provider = shared.provider(fps=9, seed=7, steps=4)
    wanted = order(inputs=Inputs(extend_video=clip), width=64, height=64)
    film = decoded(made(provider, wanted, tmp_path / "film.mp4"))
    ticket = submitted(provider, wanted)
    whole = going_on(shared.models / "ltx", ticket, tmp_path)
    assert (len(whole), len(film.frames)) == (17, 9)
    alike = []
    for at in range(9):
        delivery.deliver(whole[at:], from_text(ticket), tmp_path / "part.mp4")
        part = decoded(tmp_path / "part.mp4").frames
        alike.append(min(psnr(new, old) for new, old in zip(film.frames, part, strict=True)))
    assert alike[8] > 40 > max(alike[:8]) + 10


def moving(number: int, width: int, height: int) -> Any:
    return np.asarray(scenery(width * 2, height).crop((number * 4, 0, number * 4 + width, height)))


def going_on(model: Path, ticket: str, folder: Path) -> NDArray[np.float32]:
    (folder / "ticket").write_text(ticket)
    assert len(from_text(ticket).opening) == 9
    arguments = program("going-on", str(model), str(folder / "ticket"), str(folder / "whole.npy"))
    subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, timeout=SECONDS)
    return np.asarray(np.load(folder / "whole.npy"), np.float32)


def test_wan_makes_a_film_from_words_in_half_precision(shared: Stand, tmp_path: Path) -> None:
    film = decoded(made(shared.provider("wan", fps=6, dtype="bfloat16"), order(), tmp_path / "film.mp4"))
    assert (film.width, film.height, len(film.frames)) == (80, 48, 6)


@pytest.mark.parametrize("name", ["wan-picture", "wan-both"])
def test_wan_goes_on_from_a_picture(shared: Stand, tmp_path: Path, name: str) -> None:
    black, white = from_black_and_white(shared.provider(name, seed=7), tmp_path)
    assert black.frames[0].tolist() != white.frames[0].tolist()


def test_wan_of_both_kinds_takes_words_alone(shared: Stand, tmp_path: Path) -> None:
    assert len(decoded(made(shared.provider("wan-both"), order(), tmp_path / "film.mp4")).frames) == 8


def test_wan_that_needs_a_picture_says_so(shared: Stand) -> None:
    with pytest.raises(ProviderFailed, match="firstFrameImageUrl"):
        submitted(shared.provider("wan-picture"), order())


def test_a_style_makes_another_image(shared: Stand, tmp_path: Path) -> None:
    provider = shared.provider("flux", Kind.IMAGE, seed=7)
    facts: dict[str, Any] = {"kind": Kind.IMAGE, "seconds": 0, "width": 72, "height": 40}
    plain = image(made(provider, order(**facts), tmp_path / "plain"))
    styled = image(made(provider, order(**facts, style="vintage"), tmp_path / "styled"))
    assert plain.shape == styled.shape == (40, 72, 3)
    assert plain.tolist() != styled.tolist()


def test_it_costs_nothing_and_can_be_looked_at_without_running(shared: Stand) -> None:
    provider = shared.provider()
    assert provider.price.of(8) == FREE
    assert "LTXConditionPipeline is at" in (asyncio.run(provider.check()) or "")
    assert asyncio.run(shared.provider(id="Lightricks/LTX-Video-0.9.5").check()) is None


# --- one at a time, and stopped ---


def test_a_second_order_waits_for_the_first(shared: Stand) -> None:
    provider = shared.provider(**ENDLESS)
    first, second = submitted(provider, order()), submitted(provider, order())
    at_work(provider, first)
    assert asyncio.run(provider.poll(second)) == Pending(2.0, None, 1)
    asyncio.run(provider.cancel(first))
    at_work(provider, second)
    asyncio.run(provider.cancel(second))


def test_cancelled_by_another_worker_it_stops_at_its_next_step(shared: Stand, tmp_path: Path) -> None:
    provider, other = shared.provider(**ENDLESS), shared.provider()
    wanted = order()
    ticket = submitted(provider, wanted)
    at = at_work(provider, ticket)
    assert asyncio.run(other.cancel(ticket)) == FREE
    assert isinstance(told := asyncio.run(provider.poll(ticket)), Refused)
    assert isinstance(told.error, Cancelled)
    made(other, order(), tmp_path / "next.mp4")
    [stopped] = shared.folder.glob(f"*/{wanted.job_id}/progress")
    assert at <= float(stopped.read_text()) < 0.9
    assert not stopped.with_name("result").exists()


def test_cancelled_before_it_began_it_is_never_made(alone: Stand) -> None:
    provider = alone.provider()
    ticket = submitted(provider, order())
    asyncio.run(provider.cancel(ticket))
    assert isinstance(asyncio.run(provider.poll(ticket)), Refused)
    assert alone.processes == []


# --- the process ---


def test_no_worker_and_no_api_process_imports_torch(models: Path, tmp_path: Path) -> None:
    look = (
        "import sys; from rushes.providers import Setup; from rushes.providers.diffusers import Diffusers;"
        f"Diffusers(Setup('own', options={{'id': {str(models / 'ltx')!r}}}));"
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", look], cwd=tmp_path, timeout=SECONDS) == b"[]\n"


def test_an_idle_process_gives_its_memory_back(alone: Stand, tmp_path: Path) -> None:
    made(alone.provider(idle_seconds=0), order(), tmp_path / "film.mp4")
    wait_until(lambda: not alone.processes, SECONDS, "the process' end")


def test_a_worker_that_stops_ends_its_process_which_is_held_against_nobody(alone: Stand) -> None:
    provider = alone.provider(**ENDLESS)
    at_work(provider, submitted(provider, order()))
    asyncio.run(provider.close())
    assert alone.processes == []
    [starts] = alone.folder.glob("*/*/starts")
    assert starts.read_bytes() == b""


def test_a_worker_that_is_killed_takes_its_process_along_and_another_goes_on(alone: Stand, tmp_path: Path) -> None:
    provider = alone.provider(**ENDLESS)
    ticket = submitted(provider, order())
    (tmp_path / "ticket").write_text(ticket)
    options = {"id": str(alone.models / "ltx"), "folder": str(alone.folder), "device": "cpu"}
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, json.dumps(options), str(tmp_path / "ticket")], stdout=subprocess.PIPE, cwd=ROOT
    )
    with worker:
        assert worker.stdout
        said, processes = worker.stdout.readline(), alone.processes
        worker.kill()
    assert (said, len(processes)) == (b"at work\n", 1)
    wait_until(lambda: not alone.processes, 20, "the process' end")
    assert isinstance(ended(provider, ticket), Done)


WORKER = """
import asyncio, json, sys, time
from pathlib import Path
from rushes.providers import Setup
from rushes.providers.diffusers import Diffusers
provider, ticket = Diffusers(Setup("own", options=json.loads(sys.argv[1]))), Path(sys.argv[2]).read_text()
while not asyncio.run(provider.poll(ticket)).progress:
    time.sleep(0.05)
print("at work", flush=True)
time.sleep(1000)
"""


def test_a_process_that_dies_twice_in_the_midst_of_it_ends_the_order(alone: Stand) -> None:
    provider = alone.provider(**ENDLESS)
    ticket = submitted(provider, order())
    for deaths in range(2):
        kill_in_the_midst(alone, provider, ticket, deaths)
    told = ended(provider, ticket, unreachable=1)
    assert isinstance(told, Refused)
    assert isinstance(told.error, ProviderFailed)
    assert "ended 2 times" in told.error.sentence


def kill_in_the_midst(stand: Stand, provider: Diffusers, ticket: str, deaths: int) -> None:
    def begun(told: Any) -> bool:
        starts = sum(len(each.read_bytes()) for each in stand.folder.glob("*/*/starts"))
        return starts > deaths and bool(told.progress)

    until(provider, ticket, begun, unreachable=deaths)
    [pid] = stand.processes
    os.kill(pid, 9)


# --- what goes wrong ---


def test_a_step_that_takes_too_long_is_given_up(alone: Stand) -> None:
    error = refusal(alone.provider(**ENDLESS, step_seconds=1e-6), unreachable=1)
    assert "A step of the model took longer" in error.sentence


def test_what_does_not_fit_says_what_to_lower(alone: Stand) -> None:
    error = refusal(alone.provider(extra={"num_videos_per_prompt": 10**9}))
    assert isinstance(error, ProviderFailed)
    assert "memory of cpu does not suffice for 8 frames of 80 x 48" in error.sentence
    wait_until(lambda: not alone.processes, SECONDS, "the end of what is left of it")


def test_numbers_that_run_over_are_no_film(shared: Stand) -> None:
    assert "ran over" in refusal(shared.provider(extra={"guidance_scale": 1e30})).sentence


def test_an_argument_the_pipeline_does_not_take_fails_without_a_path(shared: Stand) -> None:
    error = refusal(shared.provider(extra={"loudness": 11}))
    assert error.sentence == "The model failed (TypeError); the server's log says why."


def test_weights_that_are_damaged_are_the_operators_to_mend(alone: Stand, tmp_path: Path) -> None:
    shutil.copytree(alone.models / "ltx", tmp_path / "ltx")
    (tmp_path / "ltx" / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"cut off")
    error = refusal(alone.provider(id=str(tmp_path / "ltx")))
    assert isinstance(error, ModelUnavailable)
    assert str(tmp_path) not in error.sentence


def test_a_device_that_is_not_there_is_the_operators_to_mend(alone: Stand) -> None:
    missing = "mps" if sys.platform == "linux" else "cuda"
    error = refusal(alone.provider(device=missing))
    assert isinstance(error, ModelUnavailable)
    assert f"is to be {missing}" in error.sentence


def test_a_hub_that_does_not_answer_leaves_the_order_waiting(
    alone: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    provider = alone.provider(id="someone/something", pipeline="LTXConditionPipeline")
    ticket = submitted(provider, order())
    with pytest.raises(ProviderUnreachable, match="hub"):
        wait_until(lambda: not isinstance(asyncio.run(provider.poll(ticket)), Pending), SECONDS)
    assert isinstance(asyncio.run(provider.poll(ticket)), Pending)


def test_a_result_that_is_gone_is_made_again(shared: Stand, tmp_path: Path) -> None:
    provider, wanted = shared.provider(), order()
    ticket = submitted(provider, wanted)
    done = ended(provider, ticket)
    for asked in (lambda: provider.download(done, tmp_path / "film.mp4"), lambda: provider.poll(ticket)):
        next(shared.folder.glob(f"*/{wanted.job_id}/result")).unlink()
        with pytest.raises(ProviderUnreachable, match="made again"):
            asyncio.run(asked())
        assert isinstance(ended(provider, ticket), Done)
    asyncio.run(provider.download(ended(provider, ticket), tmp_path / "film.mp4"))
    assert len(decoded(tmp_path / "film.mp4").frames) == 8


def test_a_folder_that_cannot_be_used_leaves_the_order_waiting(alone: Stand) -> None:
    provider = alone.provider()
    ticket = submitted(provider, order())
    alone.folder.mkdir()
    for model in ("cpu", *[path.name for path in alone.folder.iterdir()]):
        (alone.folder / model).touch()
    asyncio.run(provider.poll(ticket))  # makes its folder
    asyncio.run(provider.close())
    [folder] = [path for path in alone.folder.iterdir() if path.is_dir()]
    shutil.rmtree(folder)
    folder.touch()
    with pytest.raises(ProviderUnreachable, match="cannot work on it now"):
        asyncio.run(provider.poll(ticket))


# --- the whole way ---


def test_through_a_server_from_a_request_to_the_library(models: Path, tmp_path: Path) -> None:
    (tmp_path / "rushes.toml").write_text(
        f"""
[models."tiny"]
provider = "diffusers"
id = "{models / "ltx"}"
folder = "{tmp_path / "work"}"
sizes = {{ "5:3" = [80, 48] }}
durations = [2]
credits_per_second = 1
steps = 2
fps = 8
"""
    )
    with serving(tmp_path / "data", settings={"RUSHES_CONFIG": str(tmp_path / "rushes.toml")}) as server:
        with server.rushes() as client:
            video = client.videos.generate("a red fox", model="tiny", timeout=SECONDS)
            client.videos.download(video, tmp_path / "film.mp4")
        assert with_torch(server.program.process) == Stand(models, tmp_path / "work").processes
    film = decoded(tmp_path / "film.mp4")
    assert (film.width, film.height, len(film.frames)) == (80, 48, 16)
    assert Stand(models, tmp_path / "work").processes == []


def with_torch(process: subprocess.Popen[bytes] | None) -> list[int]:
    """Which processes of the server have torch in them."""
    assert process
    session = [pid for pid in pids() if session_of(pid) == process.pid]
    assert len(session) > 3
    return [pid for pid in session if "libtorch" in Path(f"/proc/{pid}/maps").read_text()]


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
