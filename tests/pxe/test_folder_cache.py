"""What is expensive is made whole or not at all, by one maker, and goes when nobody has asked for it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from pxe.image.folder_cache import build_once, forget_unused, rebuild


def test_it_is_made_once_however_many_ask_at_a_time(tmp_path: Path) -> None:
    created = []

    def make(staging: Path) -> None:
        created.append(staging)
        (staging / "file").write_text("whole")

    threads = [threading.Thread(target=build_once, args=(tmp_path / "x", make)) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(created) == 1
    assert (tmp_path / "x" / "file").read_text() == "whole"


def test_what_fails_leaves_nothing_and_can_be_made_later(tmp_path: Path) -> None:
    def fail(staging: Path) -> None:
        (staging / "file").write_text("half")
        raise RuntimeError("no power")

    with pytest.raises(RuntimeError):
        build_once(tmp_path / "x", fail)
    assert [one.name for one in tmp_path.iterdir()] == [".x.lock"]
    build_once(tmp_path / "x", lambda staging: None)
    with pytest.raises(RuntimeError):
        rebuild(tmp_path / "x", fail)
    assert list((tmp_path / "x").iterdir()) == []
    rebuild(tmp_path / "x", lambda staging: (staging / "file").touch())
    assert (tmp_path / "x" / "file").exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts: run `sudo make test`")
def test_what_a_killed_maker_has_mounted_is_unmounted_and_not_deleted(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "precious").touch()
    left = tmp_path / ".making-x" / "made" / "dev"
    left.mkdir(parents=True)
    subprocess.run(["mount", "--bind", theirs, left], check=True)
    build_once(tmp_path / "x", lambda staging: None)
    assert (theirs / "precious").exists()
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert not (tmp_path / ".making-x").exists()


def test_what_nobody_asked_for_lately_goes_and_the_last_ones_stay(tmp_path: Path) -> None:
    for age, name in enumerate(["today", "monday", "sunday", "saturday"]):
        build_once(tmp_path / name, lambda staging: None)
        then = time.time() - age * 86400
        os.utime(tmp_path / f".{name}.lock", (then, then))
    build_once(tmp_path / "saturday", lambda staging: None)
    assert forget_unused(tmp_path, keep=1) == ["monday", "sunday"]
    assert (tmp_path / "today").exists(), "it may still be in use"
    assert (tmp_path / "saturday").exists()
