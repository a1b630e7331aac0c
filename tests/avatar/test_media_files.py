"""Only the named file is read: a playlist that calls itself a video opens no other file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from avatar.compose.footage import footage_size
from avatar.engines.motion.footage import Footage
from avatar.errors import InvalidInput
from avatar.face.pictures import read_picture
from avatar.media_files import open_media
from clipmaker import write_mp4

import avatar


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A real video of somebody else's, in the containers that playlists may name."""
    mp4 = tmp_path / "secret.mp4"
    write_mp4(mp4, iter(np.full((12, 48, 64, 3), 90, np.uint8)), 12)
    flat = tmp_path / "secret.ts"
    with av.open(str(mp4)) as source, av.open(str(flat), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return flat


def hls(secret: Path) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n"


def concat(secret: Path) -> str:
    return f"ffconcat version 1.0\nfile {secret.name}\n"


@pytest.mark.parametrize("playlist", [hls, concat])
@pytest.mark.parametrize("name", ["holiday.mp4", "voice.wav", "list.m3u8", "0f3a"])
@pytest.mark.parametrize(
    "read",
    [
        lambda path: Footage.open(path, "the video"),
        lambda path: footage_size(path, "the video"),
    ],
)
def test_a_playlist_in_disguise_opens_no_other_file(
    secret: Path, playlist: Callable[[Path], str], name: str, read: Callable[[Path], object]
) -> None:
    path = secret.parent / name
    path.write_text(playlist(secret))
    with pytest.raises(InvalidInput, match=r"video\.(unreadable|no_frames)"):
        read(path)


def test_the_playlists_of_these_tests_do_work_where_nothing_forbids_them(secret: Path) -> None:
    path = secret.parent / "holiday.mp4"
    path.write_text(concat(secret))
    with av.open(str(path)) as container:
        assert container.streams.video
    with pytest.raises(av.error.FFmpegError), open_media(path):
        pass


def test_a_picture_that_another_program_would_have_to_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n")
    with pytest.raises(InvalidInput, match=r"picture\.unreadable"):
        read_picture(path)


def test_no_part_of_the_worker_opens_a_file_for_reading_by_another_door() -> None:
    worker = Path(avatar.__file__).parent
    calls = [
        f"{path.relative_to(worker)}: {line.strip()}"
        for path in sorted(worker.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if (re.search(r"\bav\.open\(", line) and '"w"' not in line) or "VideoCapture(" in line
    ]
    assert [call.partition(":")[0] for call in calls] == ["media_files.py"], calls
