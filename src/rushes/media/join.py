"""Several MP4s become one, in their order.

    all of one form ──→ their packets as they are, each clip's times behind those of the one before
    any that differs ─→ decoded and encoded anew: the first one's size and rate, BT.709, black where the shape differs

Clips of a chain share a frame: each opens on the last one of the clip before. Encoded anew, it is shown once. As
packets it stays twice, a 24th of a second: it is the key frame that all others of its clip stand on.

PyAV is imported inside functions: the main process imports this module and never decodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rushes.errors import Unreadable
from rushes.media.isolate import GIB, isolated
from rushes.media.probe import MOST_PIXELS, check_size, display_matrix
from rushes.media.stills import upright

if TYPE_CHECKING:
    import numpy as np
    from av.audio.frame import AudioFrame
    from av.container import InputContainer, OutputContainer
    from av.filter import Graph
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

CRF = 18
BT709 = 1
LIMITED = 1

ENCODER_MEMORY = 5 * GIB
"""Address space that x264 takes for 4K, and more."""
_THREADS = 4
_RATE = Fraction(24)
_SOUND_RATE = 48_000
_LAYOUT = "stereo"
_GAP = 0.05
"""Seconds without sound that are no rounding."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it: ``seconds`` of picture, and whether it is a copy of the clips' own packets."""

    seconds: float
    is_copy: bool


async def join(clips: Sequence[Path], to: Path, *, seconds: float = 1800) -> Joined:
    """Write ``clips`` to ``to`` as one fast-start MP4, whole or not at all; ``Unreadable`` names what is no MP4."""
    part = to.with_name(f".{to.name}.part")
    try:
        joined = await isolated(concatenate, list(clips), part, seconds=seconds, memory=ENCODER_MEMORY)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    return joined


def cut(clip: Path, to: Path, seconds: float) -> None:
    """Write what follows the first ``seconds`` of a clip, encoded anew, in this process: it opens on the last frame of
    what is left away.
    """
    with _clip(clip) as opened:
        before = max(round(seconds * float(opened.rate)) - 1, 0)
    with _written(to) as mp4:
        writer = _Writer(mp4, [clip])
        writer.write(clip, skip=before)
        writer.close()


def concatenate(clips: Sequence[Path], to: Path) -> Joined:
    """What :func:`join` does, in this process."""
    if _are_alike(clips):
        with suppress(_Uneven):
            return Joined(_copy(clips, to), is_copy=True)
    return Joined(_encode(clips, to), is_copy=False)


def _are_alike(clips: Sequence[Path]) -> bool:
    forms = set()
    for path in clips:
        with _clip(path) as clip:
            forms.add((clip.form, clip.is_turned))
    return len(forms) == 1 and not any(is_turned for _, is_turned in forms)


class _Uneven(Exception):
    """These packets cannot stand behind one another as they are."""


@contextmanager
def _clip(path: Path) -> Iterator[_Clip]:
    """The MP4 at ``path``; what FFmpeg says against it, then or later, is ``Unreadable``."""
    import av

    # A demuxer by its name, and files only: a playlist in disguise could make us read other files or the network.
    options = {"protocol_whitelist": "file", "max_pixels": str(MOST_PIXELS)}
    try:
        with av.open(str(path.absolute()), format="mov", options=options) as container:
            yield _Clip(path, container)
    except av.FFmpegError as error:
        if error.errno in (ENOSPC, EDQUOT):  # of the disk that the packets of this clip go to
            raise
        raise Unreadable(f"{path.name} is not a readable MP4 video: {error.strerror}.") from error


class _Clip:
    """One open clip: its picture and, where it has some, its sound. It is read once, and opened again for more: after
    a seek, the first packet of the sound would not come again.
    """

    def __init__(self, path: Path, container: InputContainer) -> None:
        if not container.streams.video:
            raise Unreadable(f"{path.name} has no video in it.")
        self.name = path.name
        self.container = container
        self.picture = container.streams.video[0]
        self.sound = container.streams.audio[0] if container.streams.audio else None
        check_size(self.picture.width, self.picture.height)
        self.start = (self.picture.start_time or 0) * (self.picture.time_base or Fraction(0))

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return self.picture.average_rate or self.picture.guessed_rate or _RATE

    @property
    def form(self) -> tuple[object, ...]:
        """What must be the same for one decoder to go through all clips."""
        codec, sound = self.picture.codec_context, self.sound and self.sound.codec_context
        looks = (codec.name, codec.width, codec.height, codec.pix_fmt, codec.extradata, self.picture.time_base)
        colours = (codec.colorspace, codec.color_range, codec.color_primaries, codec.color_trc)
        sounds = sound and (sound.name, sound.sample_rate, sound.layout.name, sound.extradata)
        return *looks, *colours, self.picture.sample_aspect_ratio, sounds

    @property
    def is_turned(self) -> bool:
        """Whether it says that it is to be turned or mirrored."""
        frame = next(self.container.decode(self.picture), None)
        return frame is not None and display_matrix(frame) is not None

    @property
    def shown_size(self) -> tuple[int, int]:
        """Pixels as it is shown, even, as the encoder wants them."""
        frame = next(self.frames(), None)
        if frame is None:
            raise Unreadable(f"Not one frame of {self.name} can be decoded.")
        return frame.width - frame.width % 2, frame.height - frame.height % 2

    @property
    def streams(self) -> list[Any]:
        """The picture, then the sound."""
        return [stream for stream in (self.picture, self.sound) if stream]

    def frames(self) -> Iterator[VideoFrame]:
        """The pictures in the order shown, the way up they are shown."""
        for frame in self.container.decode(self.picture):
            yield frame if display_matrix(frame) is None else _turned(frame)

    def samples(self) -> NDArray[np.float32]:
        """The sound (2, samples) from the picture's start on, at 48 kHz; nothing where there is none."""
        import av
        import numpy as np

        if self.sound is None:
            return np.zeros((2, 0), np.float32)
        parts: list[tuple[int, NDArray[np.float32]]] = []
        for run in self._runs():
            resampler, begins = av.AudioResampler("fltp", _LAYOUT, _SOUND_RATE), run[0].time or 0.0
            at = round((begins - float(self.start)) * _SOUND_RATE)
            for frame in (*run, None):
                for part in resampler.resample(frame):
                    parts.append((at, part.to_ndarray().astype(np.float32, copy=False)))
                    at += part.samples
        return _placed(parts)

    def _runs(self) -> Iterator[list[AudioFrame]]:
        """The sound's frames, anew wherever silence lies between two of them."""
        run: list[AudioFrame] = []
        frames: Iterator[Any] = iter(self.container.decode(self.sound))
        for frame in frames:
            if run and (frame.time or 0.0) > (run[-1].time or 0.0) + run[-1].samples / run[-1].sample_rate + _GAP:
                yield run
                run = []
            run.append(frame)
        if run:
            yield run


def _has_sound(path: Path) -> bool:
    with _clip(path) as clip:
        return clip.sound is not None


def _placed(parts: Sequence[tuple[int, NDArray[np.float32]]]) -> NDArray[np.float32]:
    """These samples, each stretch of them so many samples after the start; what is before it is not heard."""
    import numpy as np

    whole = np.zeros((2, max((at + part.shape[1] for at, part in parts), default=0)), np.float32)
    for at, part in parts:
        whole[:, max(at, 0) : max(at + part.shape[1], 0)] = part[:, max(-at, 0) :]
    return whole


def _turned(frame: VideoFrame) -> VideoFrame:
    import av

    turned: VideoFrame = av.VideoFrame.from_image(upright(frame))  # type: ignore[no-untyped-call]
    turned.pts, turned.time_base, turned.duration = frame.pts, frame.time_base, frame.duration
    return turned


# As they are


def _copy(clips: Sequence[Path], to: Path) -> float:
    with ExitStack() as stack:
        mp4 = stack.enter_context(_written(to))
        copy = _Copy(mp4, stack.enter_context(_clip(clips[0])))
        for path in clips:
            with _clip(path) as clip:
                copy.write(clip)
    return float(copy.end)


class _Copy:
    """An MP4 under way, in the form of all its clips."""

    def __init__(self, mp4: OutputContainer, first: _Clip) -> None:
        self.end = Fraction(0)
        self._mp4 = mp4
        self._streams = [mp4.add_stream_from_template(stream) for stream in first.streams]
        self._latest = [-math.inf for _ in self._streams]

    def write(self, clip: _Clip) -> None:
        """A clip's packets, behind those that are there."""
        begin = self.end
        for packet in _packets(clip, is_first=begin == 0):
            at = clip.streams.index(packet.stream)
            _move(packet, begin - clip.start)
            if (packet.dts or 0) <= self._latest[at]:
                raise _Uneven
            self._latest[at], self.end = packet.dts or 0, max(self.end, _end(packet))
            packet.stream = self._streams[at]
            self._mp4.mux(packet)


def _packets(clip: _Clip, *, is_first: bool) -> Iterator[Packet[Any]]:
    for packet in clip.container.demux(*clip.streams):
        if packet.dts is None or packet.pts is None:
            continue  # the end
        if packet.stream is clip.picture and packet.is_discard:
            raise _Uneven  # an edit list hides it; elsewhere it would be seen
        # What a sound decoder needs to warm up has been heard by the end of the clip before.
        if is_first or packet.stream is clip.picture or _end(packet) > clip.start:
            yield packet


def _end(packet: Packet[Any]) -> Fraction:
    return ((packet.pts or 0) + (packet.duration or 0)) * packet.time_base


def _move(packet: Packet[Any], by: Fraction) -> None:
    ticks = round(by / packet.time_base)
    packet.pts, packet.dts = (packet.pts or 0) + ticks, (packet.dts or 0) + ticks


@contextmanager
def _written(to: Path) -> Iterator[OutputContainer]:
    import av

    with av.open(str(to), "w", format="mp4", options={"movflags": "+faststart"}) as mp4:
        yield mp4


# Anew


def _encode(clips: Sequence[Path], to: Path) -> float:
    with _written(to) as mp4:
        writer = _Writer(mp4, clips)
        for number, path in enumerate(clips):
            writer.write(path, skip=min(number, 1))
        return writer.close()


class _Writer:
    """An MP4 under way, in the form of its first clip."""

    def __init__(self, mp4: OutputContainer, clips: Sequence[Path]) -> None:
        self._mp4 = mp4
        with _clip(clips[0]) as first:
            self._rate = first.rate
            self._size = first.shown_size
        self._picture = self._h264()
        with_sound = any(map(_has_sound, clips))
        self._sound: Any = mp4.add_stream("aac", rate=_SOUND_RATE, layout=_LAYOUT) if with_sound else None
        self._frames = self._samples = 0

    def _h264(self) -> VideoStream:
        options = {"crf": str(CRF), "preset": "medium", "threads": str(_THREADS)}
        stream = self._mp4.add_stream("libx264", rate=self._rate, options=options)
        (stream.width, stream.height), stream.pix_fmt = self._size, "yuv420p"
        codec = stream.codec_context
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        codec.color_range = LIMITED
        return stream

    def write(self, path: Path, skip: int) -> None:
        """A clip without its first ``skip`` frames, and as much of its sound."""
        with _clip(path) as clip:
            for frame in islice(self._fitting(clip), skip, None):
                frame.pts, frame.time_base = self._frames, 1 / self._rate
                self._frames += 1
                self._mp4.mux(self._picture.encode(frame))
        if self._sound:
            with _clip(path) as clip:
                self._hear(clip.samples()[:, round(skip / self._rate * _SOUND_RATE) :])

    def _fitting(self, clip: _Clip) -> Iterator[VideoFrame]:
        """Its frames at our rate and in our size, whole, with black at the sides where its shape differs."""
        graph = None
        for frame in clip.frames():
            graph = graph or self._graph(frame)
            graph.vpush(frame)
            yield from _pulled(graph)
        if graph:
            graph.vpush(None)
            yield from _pulled(graph)

    def _graph(self, frame: VideoFrame) -> Graph:
        import av

        width, height = self._size
        graph = av.filter.Graph()
        size = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
        told = f"{size}:time_base={frame.time_base}:colorspace={frame.colorspace}:range={frame.color_range}"
        fit = f"w={width}:h={height}:force_original_aspect_ratio=decrease:out_color_matrix=bt709:out_range=tv"
        graph.link_nodes(
            graph.add("buffer", told),
            graph.add("fps", str(self._rate)),
            graph.add("scale", fit),
            graph.add("pad", f"w={width}:h={height}:x=(ow-iw)/2:y=(oh-ih)/2"),
            graph.add("setsar", "1"),
            graph.add("format", "yuv420p"),
            graph.add("buffersink"),
        ).configure()
        return graph

    def _hear(self, samples: NDArray[np.float32]) -> None:
        """These samples, cut or filled with silence to where the picture is."""
        import av
        import numpy as np

        wanted = round(self._frames / self._rate * _SOUND_RATE) - self._samples
        heard = np.zeros((2, wanted), np.float32)
        heard[:, : samples.shape[1]] = samples[:, :wanted]
        frame = av.AudioFrame.from_ndarray(heard, "fltp", _LAYOUT)
        frame.sample_rate, frame.pts, frame.time_base = _SOUND_RATE, self._samples, Fraction(1, _SOUND_RATE)
        self._samples += wanted
        self._mp4.mux(self._sound.encode(frame))

    def close(self) -> float:
        """Write what the encoders still hold; seconds of picture."""
        for stream in filter(None, (self._picture, self._sound)):
            self._mp4.mux(stream.encode(None))
        return float(self._frames / self._rate)


def _pulled(graph: Graph) -> Iterator[VideoFrame]:
    # PyAV's errors are the language's too.
    with suppress(BlockingIOError, EOFError):
        while True:
            frame = graph.vpull()
            frame.pict_type = 0  # the encoder chooses key frames, not the clip
            yield frame
