"""Files appear whole or not at all, and what stood there before stays until then."""

import errno
import os
from pathlib import Path

import pytest
from avatar.encode.atomic import atomic_file, atomic_files, write_bytes, write_error
from avatar.errors import Unavailable
from sentences import SentenceSnapshot


def test_a_file_appears_when_its_block_ends(tmp_path):
    target = tmp_path / "out.bin"
    with atomic_file(target) as part:
        part.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_block_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_file(target) as part:
        part.write_bytes(b"half")
        raise KeyError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_named_with_what_to_do(tmp_path):
    with pytest.raises(Unavailable) as caught:
        write_bytes(tmp_path / "nowhere" / "out.bin", b"x")
    assert caught.value.code == "render.write_failed"
    assert "nowhere" in caught.value.message
    assert caught.value.hint


def test_a_folder_that_is_a_file_is_named_too(tmp_path):
    """Nor can a part be taken away where none could be made: that is not what has to be told."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable) as caught:
        write_bytes(tmp_path / "file" / "out.bin", b"x")
    assert caught.value.code == "render.write_failed" and "file" in caught.value.message


def test_an_error_of_reading_inside_the_block_is_not_called_a_write_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "out.bin"):
        (tmp_path / "not-there").read_bytes()


def test_named_files_move_up_together_and_the_rest_is_gone(tmp_path):
    folder = tmp_path / "new" / "place"
    with atomic_files(folder, ("a", "b")) as work:
        for name in ("a", "b", "scratch"):
            (work / name).write_text(name)
        assert [path for path in folder.iterdir() if path != work] == []
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


def test_nothing_moves_when_one_of_the_files_is_missing(tmp_path):
    folder = tmp_path / "place"
    with pytest.raises(Unavailable), atomic_files(folder, ("a", "b")) as work:
        (work / "a").write_text("a")
    assert not folder.exists()


def test_a_folder_made_for_nothing_is_taken_away_and_an_old_one_stays(tmp_path):
    with pytest.raises(RuntimeError), atomic_files(tmp_path / "x" / "y", ("a",)):
        raise RuntimeError
    assert not (tmp_path / "x").exists()
    existing = tmp_path / "kept"
    existing.mkdir()
    with pytest.raises(RuntimeError), atomic_files(existing, ("a",)):
        raise RuntimeError
    assert list(existing.iterdir()) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    target = tmp_path / "out.bin"
    with atomic_file(target) as first, atomic_file(target) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
        assert first != second
    assert target.read_bytes() in (b"first", b"second")
    assert [path.name for path in Path(tmp_path).iterdir()] == ["out.bin"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "MB are left in {}."),
        (errno.EDQUOT, "the quota of {} is used up"),
        (errno.EFBIG, "a file in {} would be larger"),
    ],
)
def test_a_full_disk_is_told_with_the_folder_and_the_space_and_no_working_name(tmp_path, number, message):
    folder = tmp_path / "my videos"
    with (
        pytest.raises(Unavailable) as caught,
        atomic_files(folder, ("o.mp4",)) as work,
        atomic_files(work / "scene-1", ("segment.mp4",)) as inner,
        atomic_file(inner / "segment.mp4"),
    ):
        raise OSError(number, os.strerror(number))
    error = caught.value
    assert (error.code, error.message.startswith("The disk is full: ")) == ("render.disk_full", True)
    assert message.format(folder) in error.message
    assert ".part" not in error.message and "segment" not in error.message


def test_a_file_that_cannot_be_written_is_named_in_full(tmp_path, snapshot: SentenceSnapshot):
    target = tmp_path / "portrait.json"
    error = write_error(PermissionError(errno.EACCES, "Permission denied"), target)
    assert error.message == snapshot("not_written", file=target)
    assert error.code == "render.write_failed"
