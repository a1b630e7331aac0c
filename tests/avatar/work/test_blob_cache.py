"""The cache of inputs that the workers of a node share: bounded, checked, and safe from each other."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from avatar.work.blob_cache import RETENTION_S, BlobCache

MIB = 1 << 20


def blob(letter: str, size: int = MIB) -> tuple[str, bytes]:
    content = letter.encode() * size
    return f"sha256:{hashlib.sha256(content).hexdigest()}", content


class Store:
    """The control plane's side: blobs by hash, and how often each was fetched."""

    def __init__(self, *letters: str, size: int = MIB) -> None:
        self.blobs = dict(blob(letter, size) for letter in letters)
        self.fetched: list[str] = []

    def fetch(self, sha256: str, write: Callable[[bytes], None]) -> None:
        self.fetched.append(sha256)
        content = self.blobs[sha256]
        for begin in range(0, len(content), 100_000):
            write(content[begin : begin + 100_000])

    def retry(self, ask: Callable[[], bool], timeout_s: float) -> bool:
        return ask()


def cache_of(folder: Path, store: Store, limit_mib: int = 100) -> BlobCache:
    return BlobCache(folder, store, timeout_s=1.0, limit_bytes=limit_mib * MIB)  # type: ignore[arg-type]


def use(cache: BlobCache, *letters: str) -> list[Path]:
    return [cache.obtain(blob(letter)[0], MIB) for letter in letters]


def names_in(folder: Path) -> set[str]:
    return {path.read_bytes()[:1].decode() for path in folder.glob("??/*")}


def test_the_next_task_finds_what_the_one_before_has_fetched(tmp_path: Path) -> None:
    store = Store("a")
    for _ in range(2):
        cache = cache_of(tmp_path / "blobs", store)
        (path,) = use(cache, "a")
        assert path.read_bytes() == blob("a")[1]
        cache.close()
    assert len(store.fetched) == 1


def test_a_copy_that_was_damaged_on_the_node_is_fetched_anew(tmp_path: Path) -> None:
    store = Store("a")
    (path,) = use(cache_of(tmp_path, store), "a")
    path.write_bytes(b"b" * MIB)
    assert use(cache_of(tmp_path, store), "a")[0].read_bytes() == blob("a")[1]
    assert len(store.fetched) == 2


def test_what_was_used_longest_ago_goes_when_there_is_too_much(tmp_path: Path) -> None:
    store = Store("a", "b", "c")
    cache = cache_of(tmp_path, store, limit_mib=2)
    paths = use(cache, "a", "b", "c")
    cache.close()
    for age, path in zip((10, 30, 20), paths, strict=True):
        os.utime(path, (time.time() - age,) * 2)
    assert cache.prune() == MIB
    assert names_in(tmp_path) == {"a", "c"}


def test_what_a_task_uses_stays_whatever_the_limit(tmp_path: Path) -> None:
    store = Store("a", "b")
    working = cache_of(tmp_path, store)
    use(working, "a")
    other = cache_of(tmp_path, store, limit_mib=0)
    use(other, "b")
    other.close()
    other.prune()
    assert names_in(tmp_path) == {"a"}
    working.close()
    other.prune()
    assert names_in(tmp_path) == set()


def test_what_no_task_has_used_for_a_week_goes_though_there_is_room(tmp_path: Path) -> None:
    cache = cache_of(tmp_path, Store("a", "b"))
    old, _ = use(cache, "a", "b")
    cache.close()
    os.utime(old, (time.time() - RETENTION_S - 60,) * 2)
    cache.prune()
    assert names_in(tmp_path) == {"b"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of three MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root: sudo make test")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.root
def test_on_a_full_disk_what_nobody_uses_makes_room(small_disk: Path) -> None:
    store = Store("a", "b", "c", "d")
    earlier = cache_of(small_disk / "blobs", store)
    use(earlier, "a", "b")
    earlier.close()
    cache = cache_of(small_disk / "blobs", store)
    use(cache, "c", "d")
    assert names_in(small_disk / "blobs") == {"c", "d"}


@pytest.mark.root
def test_a_disk_that_stays_full_is_an_error_and_leaves_no_half(small_disk: Path) -> None:
    (small_disk / "others").write_bytes(bytes(2 * MIB + MIB // 2))
    cache = cache_of(small_disk / "blobs", Store("a"))
    with pytest.raises(OSError, match="No space left"):
        use(cache, "a")
    assert names_in(small_disk / "blobs") == set()


MANY_TASKS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_blob_cache import Store, blob, cache_of, use
for _ in range(5):
    cache = cache_of(Path(sys.argv[2]), Store(*"abcdef"), limit_mib=2)
    for letter in "abcdef":
        (path,) = use(cache, letter)
        assert path.read_bytes() == blob(letter)[1]
    cache.prune()
    cache.close()
"""


def test_workers_that_come_at_once_all_get_the_whole_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MANY_TASKS, str(Path(__file__).parent), str(tmp_path / "blobs")]
    running: list[Any] = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        _, complained = process.communicate(timeout=120)
        assert process.returncode == 0, complained
