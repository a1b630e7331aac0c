"""Stored parts of a stopped run: found by a digest of their inputs, never damaged, never above the limit."""

from __future__ import annotations

import os
import threading
import time
import tracemalloc
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from avatar.engines import resume_cache
from avatar.engines.resume_cache import NO_CACHE, OLDEST_S, Mark, ResumeCache, digest
from avatar.pipeline.context import Context
from avatar.pipeline.resuming import open_resume_cache
from avatar.spec.unfinished import forget_work, list_of, resume_folder

Disk = namedtuple("Disk", "total used free")


def test_a_part_is_found_again_until_the_job_is_done(tmp_path: Path) -> None:
    ResumeCache(tmp_path).put("a", b"content")
    later = ResumeCache(tmp_path)
    assert (later.get("a"), later.get("b"), later.found) == (b"content", None, 1)
    later.forget()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def parts_list(tmp_path: Path) -> Path:
    return list_of(tmp_path, "the work")


def test_what_is_kept_of_a_work_can_be_forgotten_by_its_name(tmp_path: Path, parts_list: Path) -> None:
    folder = resume_folder(tmp_path)
    for name in ("a", "b"):  # two tries
        ResumeCache(folder, listed=parts_list).put(name, b"content")
    ResumeCache(folder, listed=list_of(tmp_path, "another")).put("c", b"content")
    (folder / ".d.77").write_bytes(b"half")
    parts_list.write_text(parts_list.read_text() + "cut off by a full dis\nd\n")
    assert forget_work(tmp_path, "never heard of") == forget_work(tmp_path, "") == 0
    assert forget_work(tmp_path, "the work") == 3
    assert {path.name for path in folder.iterdir()} == {"c.part", list_of(tmp_path, "another").name}


def test_parts_that_are_only_used_are_listed_too(tmp_path: Path, parts_list: Path) -> None:
    folder = resume_folder(tmp_path)
    ResumeCache(folder).put("a", b"content")
    assert ResumeCache(folder, listed=parts_list).get("a") == b"content"
    forget_work(tmp_path, "the work")
    assert list(folder.iterdir()) == []


def test_a_finished_job_leaves_nothing_of_its_earlier_tries(tmp_path: Path, parts_list: Path) -> None:
    folder = resume_folder(tmp_path)
    ResumeCache(folder, listed=parts_list).put("earlier", b"content")
    later = ResumeCache(folder, listed=parts_list)
    later.put("a", b"content")
    later.forget()
    assert list(folder.iterdir()) == []


def test_the_worker_lists_what_it_keeps_when_its_work_has_a_name(tmp_path: Path) -> None:
    open_resume_cache(Context(cache=tmp_path, work="the work")).put("a", b"content")
    open_resume_cache(Context(cache=tmp_path)).put("b", b"content")
    assert forget_work(tmp_path, "the work") == 1
    assert [path.stem for path in resume_folder(tmp_path).iterdir()] == ["b"]


def test_what_another_job_keeps_in_the_folder_stays(tmp_path: Path) -> None:
    ResumeCache(tmp_path).put("theirs", b"1")
    ours = ResumeCache(tmp_path)
    ours.put("ours", b"2")
    ours.forget()
    assert ResumeCache(tmp_path).get("theirs") == b"1"


@pytest.mark.parametrize("damaged", [b"", b"???", b"\0\0\0\0some content"])
def test_a_damaged_part_counts_as_none(tmp_path: Path, damaged: bytes) -> None:
    ResumeCache(tmp_path).put("a", b"some content")
    (tmp_path / "a.part").write_bytes(damaged)
    assert ResumeCache(tmp_path).get("a") is None


def test_old_parts_are_removed_and_a_full_folder_keeps_no_more(tmp_path: Path) -> None:
    ResumeCache(tmp_path).put("old", b"1" * 100)
    long_ago = time.time() - OLDEST_S - 60
    os.utime(tmp_path / "old.part", (long_ago, long_ago))
    small = ResumeCache(tmp_path, max_bytes=150)
    small.put("first", b"1" * 100)
    small.put("second", b"1" * 100)
    assert [path.name for path in tmp_path.iterdir()] == ["first.part"]


def test_a_full_folder_gives_up_the_oldest_of_other_jobs_and_nothing_of_its_own(tmp_path: Path) -> None:
    theirs = ResumeCache(tmp_path)
    for age, name in enumerate(["newer", "older"]):
        theirs.put(name, b"1" * 100)
        then = time.time() - 60 * (age + 1)
        os.utime(tmp_path / f"{name}.part", (then, then))
    ours = ResumeCache(tmp_path, max_bytes=320)
    ours.put("first", b"1" * 100)
    ours.put("second", b"1" * 100)
    assert {path.stem for path in tmp_path.iterdir()} == {"newer", "first", "second"}
    ours.put("third", b"1" * 100)
    ours.put("fourth", b"1" * 100)
    assert {path.stem for path in tmp_path.iterdir()} == {"first", "second", "third"}


def test_a_job_that_has_filled_the_folder_looks_through_it_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = list[Path](), resume_cache._parts
    monkeypatch.setattr(resume_cache, "_parts", lambda folder: looks.append(folder) or look(folder))
    small = ResumeCache(tmp_path, max_bytes=250)
    for number in range(20):
        small.put(str(number), b"1" * 100)
    assert {path.stem for path in tmp_path.iterdir()} == {"0", "1"}
    assert len(looks) == 1


def test_a_disk_that_is_nearly_full_is_left_to_what_has_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 2 * 10**9
    monkeypatch.setattr(resume_cache.shutil, "disk_usage", lambda _: Disk(50 * 10**9, 0, free))
    ours = ResumeCache(tmp_path)
    ours.put("first", b"1" * 100)
    free = 10**9 + 99
    ours.put("second", b"1" * 100)
    free = 10**9 + 100
    ours.put("third", b"1" * 100)
    assert {path.stem for path in tmp_path.iterdir()} == {"first", "third"}


def test_a_long_job_remembers_its_parts_in_little_memory(tmp_path: Path, parts_list: Path) -> None:
    """Ninety minutes of frames, of which none is written: what they take on disk is another matter."""
    frames = 10_000
    names = [digest(frame) for frame in range(frames)]
    ours = ResumeCache(resume_folder(tmp_path), max_bytes=0, listed=parts_list)
    tracemalloc.start()
    try:
        for name in names:
            assert ours.get(name) is None
            ours.put(name, b"1")
        held = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, resume_cache.__file__)])
    finally:
        tracemalloc.stop()
    assert sum(one.size for one in held.statistics("filename")) < 40 * frames


def test_marks_are_known_of_each_of_many_names_also_when_threads_share_them() -> None:
    ours, fresh = resume_cache.Marks(), list[bool]()

    def mark(start: int) -> None:
        for number in range(start, 20_000, 4):
            fresh.append(ours.add(str(number), Mark.USED))

    threads = [threading.Thread(target=mark, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fresh) == 20_000 and all(fresh)
    assert not ours.add("7", Mark.USED) and ours.add("7", Mark.PUT) and not ours.add("7", Mark.PUT)
    assert all(ours.has(str(number), Mark.USED) for number in range(20_000))
    assert not any(ours.has(str(number), Mark.USED) for number in range(20_000, 40_000))
    assert [number for number in range(20_000) if ours.has(str(number), Mark.PUT)] == [7]
    ours.clear()
    assert not ours.has("7", Mark.USED) and ours.add("7", Mark.USED)


def test_a_folder_that_cannot_be_written_only_means_that_nothing_is_kept(tmp_path: Path) -> None:
    resume_cache = ResumeCache(tmp_path / "here")
    (tmp_path / "here").rmdir()
    resume_cache.put("a", b"1")
    assert resume_cache.get("a") is None


def test_without_a_folder_nothing_is_kept() -> None:
    NO_CACHE.put("a", b"1")
    assert not NO_CACHE.enabled
    assert NO_CACHE.get("a") is None


def test_a_digest_tells_shapes_types_and_order_apart() -> None:
    zeros = np.zeros((2, 3), np.float32)
    different = [
        (zeros,), (zeros.T,), (zeros.astype(np.float64),), (zeros, None), (None, zeros),
        ("1", 1), (1, "1"), ("11",),
    ]  # fmt: skip
    assert len({digest(*content) for content in different}) == len(different)
    assert digest(zeros[::1]) == digest(zeros.copy())
