from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from soundstage.blobs import BlobStore
from soundstage.errors import StorageFull


def start(program: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def test_processes_that_put_the_same_content_do_not_disturb_each_other(
    blobs: BlobStore, programs: Path
) -> None:
    running = [start(programs / "put_blobs.py", blobs.root, "-", 20) for _ in range(3)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    found = [blob async for blob in blobs.iterate()]
    assert len(found) == 20
    assert all([await blobs.verify(blob.sha256) for blob in found])
    assert list((blobs.root / ".staging").glob("*.part")) == []


async def test_a_killed_process_leaves_nothing_that_the_next_start_does_not_remove(
    blobs: BlobStore, programs: Path
) -> None:
    process = start(programs / "put_slowly.py", blobs.root)
    assert process.stdout is not None
    assert process.stdout.readline() == "half way\n"
    staging = blobs.root / ".staging"
    # A store that opens meanwhile leaves alone what is still being written.
    BlobStore.open(blobs.root)
    assert len(list(staging.glob("*.part"))) == 1
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert [blob async for blob in blobs.iterate()] == []
    BlobStore.open(blobs.root)
    assert list(staging.glob("*.part")) == []


def test_a_file_that_the_system_does_not_let_grow_is_a_clear_error_and_leaves_nothing(
    blobs: BlobStore, programs: Path, tmp_path: Path
) -> None:
    source = tmp_path / "large"
    source.write_bytes(b"x" * 3_000_000)
    process = start(programs / "put_too_much.py", blobs.root, source, 1_500_000)
    output, errors = process.communicate(timeout=60)
    assert (output, process.returncode) == ("blobs.file_limit\n", 0), errors
    assert [path for path in blobs.root.rglob("*") if path.is_file() and path.name != "lock"] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounts a small disk: sudo make test")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"this system mounts nothing: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.root
async def test_a_full_disk_is_a_clear_error_and_leaves_nothing(small_disk: Path) -> None:
    store = BlobStore.open(small_disk / "blobs")
    stored = await store.put_bytes(b"a" * 1_000_000)
    with pytest.raises(StorageFull) as error:
        await store.put_bytes(b"b" * 3_000_000)
    assert error.value.code == "blobs.disk_full"
    assert [blob.sha256 async for blob in store.iterate()] == [stored.sha256]
    # All the space is free again.
    assert (await store.put_bytes(b"c" * 800_000)).bytes == 800_000
