"""Clips joined: every frame is there, times go forward, the sound stays with the picture, and bad files are named."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from rushes.errors import Unreadable
from rushes.media.join import Joined, concatenate, join

from . import clips

FRAMES = 24
RATE = 48_000


class Film(NamedTuple):
    """What a joined file is, decoded to its end."""

    size: tuple[int, int]
    numbers: list[float]
    """What each frame says of itself."""
    times: list[float]
    packets: list[list[int]]
    """Decoding times, a list a stream."""
    samples: int
    loudness: NDArray[np.float64]
    """Of each tenth of a second."""


def film(path: Path) -> Film:
    with av.open(str(path)) as container:
        packets = [[p.dts for p in container.demux(stream) if p.dts is not None] for stream in container.streams]
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    with av.open(str(path)) as container:
        heard = [frame.to_ndarray()[0] for frame in container.decode(audio=0)] if container.streams.audio else []
    samples = np.concatenate(heard) if heard else np.zeros(0)
    tenths = samples[: len(samples) // 4800 * 4800].reshape(-1, 4800)
    return Film(
        size=(frames[0].width, frames[0].height),
        numbers=[number(frame) for frame in frames],
        times=[float(frame.time) for frame in frames],
        packets=packets,
        samples=len(samples),
        loudness=np.abs(tenths).max(axis=1) if len(tenths) else np.zeros(0),
    )


def number(frame: av.VideoFrame) -> float:
    picture = frame.to_ndarray(format="gray")
    middle = picture[frame.height // 2 : frame.height // 2 + 4, frame.width // 2 : frame.width // 2 + 4]
    return round((float(middle.mean()) - clips.grey(0)) / clips.STEP, 1)


def assert_forward(told: Film) -> None:
    """Times strictly increase, in every stream."""
    for times in (np.array(told.times), *map(np.array, told.packets)):
        assert (np.diff(times) > 0).all()


def joined(tmp_path: Path, *made: Path) -> tuple[Joined, Film]:
    to = tmp_path / "out.mp4"
    told = asyncio.run(join(made, to))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({path.name for path in made} | {"out.mp4"})
    return told, film(to)


def beeping(path: Path, *, seconds: float = 1.0, rate: int = RATE, width: int = 96) -> Path:
    """A clip of one second that is loud in its first tenth, and silent after."""
    silent = clips.make(path.with_name("silent.mp4"), width=width)
    with av.open(str(silent)) as source, av.open(str(path), "w") as to:
        picture = to.add_stream_from_template(source.streams.video[0])
        voice = to.add_stream("aac", rate=rate, layout="stereo")
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = picture
                to.mux(packet)
        time = np.arange(int(seconds * rate))
        tone = np.where(time < rate / 10, np.sin(time * 440 * 2 * np.pi / rate), 0).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
        frame.sample_rate, frame.pts = rate, 0
        to.mux(voice.encode(frame))
        to.mux(voice.encode(None))
    silent.unlink()
    return path


@pytest.mark.parametrize("b_frames", [0, 3])
def test_clips_of_one_form_are_copied_packet_by_packet(tmp_path: Path, b_frames: int) -> None:
    made = [clips.make(tmp_path / f"{name}.mp4", b_frames=b_frames) for name in "abc"]
    told, out = joined(tmp_path, *made)
    assert told == Joined(3.0, is_copy=True)
    assert out.numbers == pytest.approx([*range(FRAMES)] * 3, abs=0.3)
    assert out.times == pytest.approx([n / 24 for n in range(3 * FRAMES)], abs=0.001)
    assert_forward(out)
    assert packets(tmp_path / "out.mp4") == [packet for path in made for packet in packets(path)]


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_sound_is_copied_with_the_picture(tmp_path: Path) -> None:
    told, out = joined(tmp_path, *(beeping(tmp_path / f"{name}.mp4") for name in "abc"))
    assert told.is_copy
    assert told.seconds == pytest.approx(3, abs=0.07), "the last sound of a clip may go on behind its picture"
    assert out.samples / RATE == pytest.approx(told.seconds, abs=0.02), "what warms up a decoder is not heard"
    assert out.numbers == pytest.approx([*range(FRAMES)] * 3, abs=0.3)
    assert_forward(out)
    assert_beeps(out, [0.0, 1.0, 2.0])


def assert_beeps(out: Film, at: list[float]) -> None:
    """Loud where clips begin, to within a tenth of a second, and nowhere else."""
    loud = np.flatnonzero(out.loudness > 0.2) / 10
    assert {min(at, key=lambda begin: abs(begin - tenth)) for tenth in loud} == set(at)
    assert all(min(abs(begin - tenth) for begin in at) < 0.15 for tenth in loud)


def test_other_sizes_are_fitted_into_the_first_and_the_shared_frame_is_shown_once(tmp_path: Path) -> None:
    wide = clips.make(tmp_path / "wide.mp4", width=192, height=64)
    told, out = joined(tmp_path, clips.make(tmp_path / "first.mp4"), wide, clips.make(tmp_path / "third.mp4"))
    assert told == Joined(pytest.approx(3 - 2 / 24), is_copy=False)  # type: ignore[arg-type]
    assert out.size == (96, 64)
    assert out.numbers == pytest.approx([*range(FRAMES), *range(1, FRAMES), *range(1, FRAMES)], abs=0.6)
    assert out.times == pytest.approx([n / 24 for n in range(len(out.times))], abs=0.001)
    assert_forward(out)


def test_what_is_wider_has_black_above_and_below(tmp_path: Path) -> None:
    wide = clips.make(tmp_path / "wide.mp4", width=192, height=64)
    joined(tmp_path, clips.make(tmp_path / "first.mp4"), wide)
    with av.open(str(tmp_path / "out.mp4")) as container:
        last = list(container.decode(video=0))[-1].to_ndarray(format="gray")
    assert last[:12].max() < 24
    assert last[-12:].max() < 24
    assert last[32, 48] == pytest.approx(clips.grey(23), abs=4)


def test_encoded_anew_the_sound_begins_with_its_clip_and_silence_fills_the_rest(tmp_path: Path) -> None:
    made = [
        beeping(tmp_path / "a.mp4"),
        clips.make(tmp_path / "mute.mp4"),
        beeping(tmp_path / "other.mp4", rate=44_100, width=128, seconds=0.5),
    ]
    told, out = joined(tmp_path, *made)
    assert told == Joined(pytest.approx(3 - 2 / 24), is_copy=False)  # type: ignore[arg-type]
    assert_forward(out)
    assert out.samples / RATE == pytest.approx(told.seconds, abs=0.05)
    assert_beeps(out, [0.0, 2 - 1 / 24])


def test_another_rate_is_brought_to_the_first(tmp_path: Path) -> None:
    slow = clips.make(tmp_path / "slow.mp4", frames=12, pts=lambda n: 2 * n)
    told, out = joined(tmp_path, clips.make(tmp_path / "first.mp4", height=96), slow)
    assert told.seconds == pytest.approx(2, abs=0.1)
    assert out.times == pytest.approx([n / 24 for n in range(len(out.times))], abs=0.001)


def test_a_turned_clip_is_shown_as_players_show_it(tmp_path: Path) -> None:
    turned = clips.make(tmp_path / "turned.mp4", turn=(90, False, False))
    told, out = joined(tmp_path, turned, clips.make(tmp_path / "upright.mp4"))
    assert (told.is_copy, out.size) == (False, (64, 96))


@pytest.mark.parametrize(("start", "end"), [(5, 20), (0, 20), (5, 24)])
def test_what_an_edit_list_hides_stays_hidden(tmp_path: Path, start: int, end: int) -> None:
    hidden = clips.trim(clips.make(tmp_path / "hidden.mp4"), start=start, end=end)
    whole = clips.make(tmp_path / "whole.mp4")
    _, out = joined(tmp_path, hidden, whole, hidden)
    shown = [*range(start, end), *range(1, FRAMES), *range(start + 1, end)]
    assert out.numbers == pytest.approx(shown, abs=0.6)
    assert_forward(out)


def test_one_clip_is_itself(tmp_path: Path) -> None:
    told, out = joined(tmp_path, clips.make(tmp_path / "one.mp4"))
    assert told == Joined(1.0, is_copy=True)
    assert len(out.times) == FRAMES


@pytest.mark.parametrize("spoilt", [b"", b"<html>", b"\0" * 5000])
def test_what_is_no_film_is_named_and_nothing_is_left(tmp_path: Path, spoilt: bytes) -> None:
    (tmp_path / "bad.mp4").write_bytes(spoilt)
    with pytest.raises(Unreadable, match=r"bad\.mp4"):
        joined(tmp_path, clips.make(tmp_path / "first.mp4"), tmp_path / "bad.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "first.mp4"]


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="has no video"):
        concatenate([clips.sound_only(tmp_path / "sound.mp4")], tmp_path / "out.mp4")


def test_a_file_that_was_there_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    to, bad = tmp_path / "out.mp4", tmp_path / "bad.mp4"
    to.write_bytes(b"before")
    bad.write_bytes(b"no film")
    with pytest.raises(Unreadable):
        asyncio.run(join([clips.make(tmp_path / "one.mp4"), bad], to))
    assert to.read_bytes() == b"before"
    asyncio.run(join([tmp_path / "one.mp4"], to))
    assert len(film(to).times) == FRAMES
