"""What is kept of a stopped run: found by what it follows from, never damaged, never more than agreed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from avatar.engines import kept
from avatar.engines.kept import NOTHING, OLDEST_S, Kept, digest


def test_a_part_is_found_again_until_the_job_is_done(tmp_path: Path) -> None:
    Kept(tmp_path).put("a", b"content")
    later = Kept(tmp_path)
    assert (later.get("a"), later.get("b"), later.found) == (b"content", None, 1)
    later.forget()
    assert list(tmp_path.iterdir()) == []


def test_what_another_job_keeps_in_the_folder_stays(tmp_path: Path) -> None:
    Kept(tmp_path).put("theirs", b"1")
    ours = Kept(tmp_path)
    ours.put("ours", b"2")
    ours.forget()
    assert Kept(tmp_path).get("theirs") == b"1"


@pytest.mark.parametrize("damaged", [b"", b"???", b"\0\0\0\0some content"])
def test_a_damaged_part_counts_as_none(tmp_path: Path, damaged: bytes) -> None:
    Kept(tmp_path).put("a", b"some content")
    (tmp_path / "a.part").write_bytes(damaged)
    assert Kept(tmp_path).get("a") is None


def test_old_parts_are_removed_and_a_full_folder_keeps_no_more(tmp_path: Path) -> None:
    Kept(tmp_path).put("old", b"1" * 100)
    long_ago = time.time() - OLDEST_S - 60
    os.utime(tmp_path / "old.part", (long_ago, long_ago))
    small = Kept(tmp_path, most_bytes=150)
    small.put("first", b"1" * 100)
    small.put("second", b"1" * 100)
    assert [path.name for path in tmp_path.iterdir()] == ["first.part"]


def test_a_full_folder_gives_up_the_oldest_of_other_jobs_and_nothing_of_its_own(tmp_path: Path) -> None:
    theirs = Kept(tmp_path)
    for age, name in enumerate(["newer", "older"]):
        theirs.put(name, b"1" * 100)
        then = time.time() - 60 * (age + 1)
        os.utime(tmp_path / f"{name}.part", (then, then))
    ours = Kept(tmp_path, most_bytes=320)
    ours.put("first", b"1" * 100)
    ours.put("second", b"1" * 100)
    assert {path.stem for path in tmp_path.iterdir()} == {"newer", "first", "second"}
    ours.put("third", b"1" * 100)
    ours.put("fourth", b"1" * 100)
    assert {path.stem for path in tmp_path.iterdir()} == {"first", "second", "third"}


def test_a_job_that_has_filled_the_folder_looks_through_it_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = list[Path](), kept._parts
    monkeypatch.setattr(kept, "_parts", lambda folder: looks.append(folder) or look(folder))
    small = Kept(tmp_path, most_bytes=250)
    for number in range(20):
        small.put(str(number), b"1" * 100)
    assert {path.stem for path in tmp_path.iterdir()} == {"0", "1"}
    assert len(looks) == 1


def test_a_folder_that_cannot_be_written_only_means_that_nothing_is_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "here")
    (tmp_path / "here").rmdir()
    kept.put("a", b"1")
    assert kept.get("a") is None


def test_without_a_folder_nothing_is_kept() -> None:
    NOTHING.put("a", b"1")
    assert not NOTHING.used
    assert NOTHING.get("a") is None


def test_a_digest_tells_shapes_types_and_order_apart() -> None:
    zeros = np.zeros((2, 3), np.float32)
    different = [
        (zeros,), (zeros.T,), (zeros.astype(np.float64),), (zeros, None), (None, zeros),
        ("1", 1), (1, "1"), ("11",),
    ]  # fmt: skip
    assert len({digest(*content) for content in different}) == len(different)
    assert digest(zeros[::1]) == digest(zeros.copy())
