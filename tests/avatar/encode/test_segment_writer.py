"""A segment is closed, pinned, deterministic and in the colours it says it is in."""

import mmap
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import av
import numpy as np
import pytest
from avatar.compose.colour import Planes
from avatar.encode.segment_writer import segment_writer
from avatar.spec import Canvas, VideoCodec

IDR = 5
"""The slice type that nothing before it is needed for (H.264, table 7-1)."""


def test_a_segment_holds_one_video_stream_tagged_as_bt709_limited(tmp_path, make_segment, ffprobe):
    frames = make_segment(tmp_path / "s.mp4", 60)
    streams = ffprobe(frames, "-show_streams", "-count_packets")["streams"]
    assert len(streams) == 1
    video = streams[0]
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", 320, 180)
    assert video["avg_frame_rate"] == "25/1"
    assert int(video["nb_read_packets"]) == 60
    assert video["pix_fmt"] == "yuv420p"
    assert video["color_range"] == "tv"
    assert {video["color_space"], video["color_transfer"], video["color_primaries"]} == {"bt709"}
    assert video["chroma_location"] == "center"


def test_keyframes_come_at_the_pinned_distance_only_even_at_a_hard_cut(tmp_path):
    canvas = Canvas(width=320, height=180, fps=25)
    with segment_writer(tmp_path / "s.mp4", canvas, VideoCodec(gop_ms=1000)) as writer:
        for index in range(60):  # cut far enough from both neighbours for a keyframe of its own
            writer.write(Planes.of(np.full((180, 320, 3), 20 if index < 43 else 230, np.uint8)))
    with av.open(str(tmp_path / "s.mp4")) as container:
        packets = [packet for packet in container.demux() if packet.dts is not None]
    keys = [round(p.pts * p.time_base * 25) for p in packets if p.is_keyframe]
    assert keys == [0, 25, 50]
    pictures = sorted(packets, key=lambda packet: packet.pts)
    assert [n for n, packet in enumerate(pictures) if IDR in slices(packet)] == keys


def test_each_group_of_pictures_decodes_without_the_one_before_it(tmp_path, make_segment):
    """Packets from the second keyframe on, alone, give every later frame: the group is closed."""
    frames = make_segment(tmp_path / "s.mp4", 60, VideoCodec(gop_ms=1000))
    with av.open(str(frames)) as container:
        stream = container.streams.video[0]
        whole = [frame.to_ndarray() for frame in container.decode(stream)]
    with av.open(str(frames)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        second = [index for index, packet in enumerate(packets) if packet.is_keyframe][1]
        assert IDR in slices(packets[second])
        decoder = av.CodecContext.create("h264", "r")
        decoder.extradata = stream.codec_context.extradata
        rest = [frame for packet in [*packets[second:], None] for frame in decoder.decode(packet)]
    assert len(rest) == 35
    for alone, among in zip(rest, whole[25:], strict=True):
        assert np.array_equal(alone.to_ndarray(), among)


def test_a_picture_is_one_slice(tmp_path, make_segment):
    """Slices would cost bits at their borders."""
    frames = make_segment(tmp_path / "s.mp4", 12)
    with av.open(str(frames)) as container:
        assert all(len(slices(packet)) == 1 for packet in container.demux() if packet.dts is not None)


def test_the_header_depends_on_the_spec_and_not_on_the_pictures(tmp_path, make_segment):
    def header(path: Path) -> bytes:
        with av.open(str(path)) as container:
            return container.streams.video[0].codec_context.extradata

    one = header(make_segment(tmp_path / "1.mp4", 3))
    other = header(make_segment(tmp_path / "2.mp4", 70, shade=30))
    finer = header(make_segment(tmp_path / "3.mp4", 3, VideoCodec(preset="ultrafast")))
    assert one == other
    assert one != finer


def test_the_same_frames_give_the_same_bytes_whatever_lay_in_memory_before(tmp_path):
    """glibc fills new memory with the byte of MALLOC_PERTURB_; an encoder that reads it unwritten gives
    itself away.
    """
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        import numpy as np
        from avatar.compose.colour import Planes
        from avatar.encode.segment_writer import segment_writer
        from avatar.spec import Canvas, VideoCodec

        with segment_writer(Path(sys.argv[1]), Canvas(width=320, height=180), VideoCodec()) as writer:
            for index in range(8):
                picture = np.full((180, 320, 3), 60, np.uint8)
                picture[40:120, index * 4 : index * 4 + 40] = (0, 120, 255)
                writer.write(Planes.of(picture))
        """
    )
    frames = []
    for fill in ("0", "85", "170"):
        frames.append(tmp_path / f"{fill}.mp4")
        environment = {**os.environ, "MALLOC_PERTURB_": fill}
        subprocess.run([sys.executable, "-c", program, str(frames[-1])], check=True, env=environment)
    assert len({path.read_bytes() for path in frames}) == 1


@pytest.mark.parametrize("shared", [False, True])
def test_planes_may_be_used_again_as_soon_as_they_are_written(tmp_path, make_segment, moving_bar, shared):
    planes = Planes(320, 180, mmap.mmap(-1, Planes.bytes_of(320, 180)) if shared else None)
    with segment_writer(tmp_path / "reused.mp4", Canvas(width=320, height=180), VideoCodec()) as writer:
        for index in range(30):
            planes.copy_from(Planes.of(moving_bar(index)))
            writer.write(planes)
    fresh = make_segment(tmp_path / "fresh.mp4", 30)
    assert (tmp_path / "reused.mp4").read_bytes() == fresh.read_bytes()


def test_colours_come_back_as_they_went_in(tmp_path):
    """Encoded nearly without loss and decoded with the standard's matrix, flat colours differ by rounding
    only.
    """
    canvas = Canvas(width=128, height=64, fps=25)
    colours = np.array([(0, 0, 255), (0, 255, 0), (255, 0, 0), (40, 120, 200)], np.uint8)
    picture = np.repeat(np.repeat(colours[None], 64, axis=0), 32, axis=1)
    with segment_writer(tmp_path / "c.mp4", canvas, VideoCodec(crf=1)) as writer:
        writer.write(Planes.of(picture))
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(tmp_path / "c.mp4"),
         "-vf", "scale=in_color_matrix=bt709:flags=neighbor", "-pix_fmt", "bgr24", "-f", "rawvideo", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    shown = np.frombuffer(done.stdout, np.uint8).reshape(64, 128, 3)
    for index, colour in enumerate(colours):
        middle = shown[20:44, index * 32 + 8 : index * 32 + 24].reshape(-1, 3).astype(int)
        assert np.abs(middle - colour).max() <= 4, f"{colour} came back as {middle[0]}"


def test_a_failed_block_leaves_no_file(tmp_path):
    with (
        pytest.raises(RuntimeError, match="the artist fell ill"),
        segment_writer(tmp_path / "s.mp4", Canvas(width=320, height=180), VideoCodec()) as writer,
    ):
        writer.write(Planes(320, 180))
        raise RuntimeError("the artist fell ill")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_in_disk_full_and_leaves_no_file(tmp_path):
    """The limit on file size stands for the disk: both fail in the middle of a write."""
    program = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from avatar.compose.colour import Planes
        from avatar.encode.segment_writer import segment_writer
        from avatar.errors import Unavailable
        from avatar.spec import Canvas, VideoCodec

        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        canvas = Canvas(width=320, height=180)
        noise = np.random.default_rng(1)
        try:
            with segment_writer(Path(sys.argv[1]), canvas, VideoCodec(crf=5)) as writer:
                for _ in range(60):
                    writer.write(Planes.of(noise.integers(0, 255, (180, 320, 3), np.uint8)))
        except Unavailable as error:
            print(error.code)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "s.mp4")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "render.disk_full"
    assert list(tmp_path.iterdir()) == []


def slices(packet: av.Packet) -> list[int]:
    """The types of the coded slices in a packet: each unit follows its length in four bytes (ISO
    14496-15).
    """
    data, at, found = bytes(packet), 0, []
    while at < len(data):
        kind = data[at + 4] & 0x1F
        if 1 <= kind <= IDR:
            found.append(kind)
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return found
