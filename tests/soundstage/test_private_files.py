"""Keys are made once, whole, and for their owner alone."""

import threading
from pathlib import Path

import pytest

from soundstage.private_files import read_or_create, write_anew


def test_a_key_is_made_once_and_its_owner_alone_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "seal.key"
    assert read_or_create(path, lambda: b"first") == b"first"
    assert read_or_create(path, lambda: b"second") == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["seal.key"]


def test_those_who_make_it_at_once_agree_on_one(tmp_path: Path) -> None:
    path, together, found = tmp_path / "key", threading.Barrier(8), list[bytes]()

    def start(number: int) -> None:
        def make() -> bytes:
            together.wait(10)  # everybody has seen that there is none
            return b"%d" % number

        found.append(read_or_create(path, make))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and set(found) == {path.read_bytes()}
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_nothing_is_left_of_a_key_that_could_not_be_made(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise OSError("no random numbers")

    with pytest.raises(OSError, match="no random numbers"):
        read_or_create(tmp_path / "key", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_written_anew_is_another_file_with_its_own_rights(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    path.write_bytes(b"old")
    path.chmod(0o666)
    with path.open("rb") as reading:
        write_anew(path, b"new", 0o400)
        assert reading.read() == b"old"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o400)
