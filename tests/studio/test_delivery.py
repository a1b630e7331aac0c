"""Finished files get people's names, whole or not at all, and never over somebody else's."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from soundstage.errors import Conflict
from studio.renders.delivery import delete_delivered_files, deliver, file_names, free_names
from studio.renders.repository import Renders
from studio.renders.states import RenderState

ROLES = ("video", "vtt", "srt", "poster", "provenance")


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    created = {}
    for name in ("film.mp4", "film.vtt"):
        created[name] = tmp_path / f"source of {name}"
        created[name].write_bytes(name.encode())
    return created


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_names_come_from_the_title_and_the_end_of_the_id() -> None:
    created = file_names("Größe & Maß: Teil 1/2", "rnd_0123456789abcdef", ROLES)
    assert created["video"] == "groe-ma-teil-1-2-abcdef.mp4" or created["video"].endswith("-abcdef.mp4")
    assert created["provenance"].endswith(".provenance.json")
    assert file_names("🎬", "rnd_0123456789abcdef", ("video",)) == {"video": "video-abcdef.mp4"}
    assert file_names("x" * 300, "rnd_abcdef", ("video",))["video"] == "x" * 60 + "-abcdef.mp4"


def test_files_are_delivered_together(sources: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert deliver(sources, out) == ["film.mp4", "film.vtt"] == names(out)
    assert (out / "film.mp4").read_bytes() == b"film.mp4"


def test_another_file_of_that_name_is_never_written_over(sources: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "film.mp4").write_bytes(b"holiday")
    assert deliver(sources, out) == ["film-2.mp4", "film.vtt"]
    assert (out / "film.mp4").read_bytes() == b"holiday"
    assert deliver(sources, out) == ["film-3.mp4", "film-2.vtt"]


def test_what_an_earlier_try_left_is_replaced(sources: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "film.mp4").write_bytes(b"half of it")
    assert deliver(sources, out, replaceable=frozenset({"film.mp4"})) == ["film.mp4", "film.vtt"]
    assert (out / "film.mp4").read_bytes() == b"film.mp4"


def test_free_names_avoid_foreign_files_and_know_our_own(tmp_path: Path) -> None:
    expected = {"video": "film.mp4", "vtt": "film.vtt"}
    assert free_names(expected, tmp_path / "not there yet") == expected
    (tmp_path / "film.mp4").touch()
    assert free_names(expected, tmp_path) == {"video": "film-2.mp4", "vtt": "film.vtt"}
    assert free_names(expected, tmp_path, frozenset({"film.mp4"})) == expected


async def test_what_a_killed_delivery_left_goes_when_the_render_is_then_cancelled(
    studio_rooms: Any, ask: Any, settings: Any, db: Any
) -> None:
    view = await studio_rooms.renders.create(ask("!slow 60"))
    settings.out_dir.mkdir()
    (settings.out_dir / "slow-60-x.mp4").write_bytes(b"half delivered")
    (settings.out_dir / "holiday.mp4").write_bytes(b"mine")
    async with db.transaction() as session:
        row = await Renders(session).find(view.id)
        assert row is not None
        row.state, row.out_files = RenderState.RUNNING, ["slow-60-x.mp4", "slow-60-x.vtt"]
    await studio_rooms.dispatcher.start()
    async with asyncio.timeout(60):
        async for event in studio_rooms.renders.follow(view.id):
            if event.data.get("state") == RenderState.RUNNING:
                break
    await studio_rooms.renders.cancel(view.id)
    assert (await studio_rooms.renders.wait(view.id)).out_files == []
    assert names(settings.out_dir) == ["holiday.mp4"]


async def test_a_cancel_during_the_delivery_leaves_all_or_nothing(
    rooms: Any, ask: Any, settings: Any
) -> None:
    for pause in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
        view = await rooms.renders.create(ask(f"words {pause}"))
        await asyncio.sleep(pause)
        with suppress(Conflict):
            await rooms.renders.cancel(view.id)
        ended = await rooms.renders.wait(view.id)
        there = (
            {name for name in names(settings.out_dir) if view.id[-6:] in name}
            if settings.out_dir.exists()
            else set()
        )
        assert there == (set(ended.out_files) if ended.state is RenderState.DONE else set())
        assert len(there) in (0, 5)


def test_when_one_file_cannot_be_copied_none_is_there(sources: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(OSError, match="nothing here"):
        deliver({**sources, "film.srt": tmp_path / "nothing here"}, out)
    assert names(out) == []


def test_only_plain_names_are_withdrawn(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "film.mp4").touch()
    (tmp_path / "precious").touch()
    delete_delivered_files(["film.mp4", "../precious", "missing.mp4"], out)
    assert names(out) == [] and (tmp_path / "precious").exists()


@contextmanager
def tiny(folder: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount file systems: run `sudo make test`")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    with tiny(tmp_path / "tiny") as folder:
        yield folder


@pytest.fixture
def tiny_out(settings: Any) -> Iterator[Path]:
    with tiny(settings.out_dir) as folder:
        yield folder


@pytest.mark.root
def test_on_a_full_disk_nothing_partial_is_left(
    tiny_disk: Path, sources: dict[str, Path], tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(200_000))
    with pytest.raises(OSError, match="No space left"):
        deliver({**sources, "film.srt": large}, tiny_disk)
    assert names(tiny_disk) == []


@pytest.mark.root
async def test_a_render_that_finds_the_disk_full_fails_clearly_and_succeeds_when_there_is_room(
    tiny_out: Path, rooms: Any, render_to_end: Any
) -> None:
    filler = tiny_out / "holiday.mp4"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(100_000))
    view = await render_to_end(rooms, "hello")
    assert (view.state, view.error.code) == (RenderState.FAILED, "disk.full")
    assert view.error.hint and view.out_files == [] and names(tiny_out) == ["holiday.mp4"]
    filler.unlink()
    await rooms.renders.retry(view.id)
    assert (await rooms.renders.wait(view.id)).state is RenderState.DONE
    assert len(names(tiny_out)) == 5
