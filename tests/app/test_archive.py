"""A backup holds all of an installation, is refused when anything in it is wrong, and comes back whole."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.archive import backup, restore
from app.composition import Services, build, opened
from soundstage.errors import Conflict, Invalid, NotFound, SoundstageError
from soundstage.settings import Settings
from studio.projects.schemas import ProjectDraft


@pytest.fixture
async def archive(services: Services, home: Path) -> Path:
    """A backup of an installation with a project, a file and a persona of its own."""
    await services.studio.projects.create(ProjectDraft(title="Kept"))
    await services.blobs.put_bytes(b"a picture", "image/png")
    services.own_personas.mkdir(parents=True)
    (services.own_personas / "ada.yaml").write_text("id: ada\nname: Ada\n")
    made = await backup(services.database, services.blobs, services.own_personas, home / "backup.tar")
    assert made.members == 3
    return made.path


@pytest.fixture
def empty(home: Path) -> Settings:
    return Settings(state_dir=home / "other", out_dir=home / "out", personas_dir=home / "personas")


async def put_back(settings: Settings, archive: Path, *, force: bool = False) -> None:
    services = build(settings)
    try:
        await restore(services.database, services.blobs, services.own_personas, archive, force=force)
    finally:
        await services.database.close()


async def test_a_backup_comes_back_with_database_files_and_personas(archive: Path, empty: Settings) -> None:
    await put_back(empty, archive)
    async with opened(empty) as services:
        assert [project.title for project in await services.studio.projects.list()] == ["Kept"]
        [blob] = [found async for found in services.blobs.iterate()]
        assert await services.blobs.read(blob.sha256) == b"a picture"
        assert (services.own_personas / "ada.yaml").read_text() == "id: ada\nname: Ada\n"


async def test_a_state_that_holds_something_is_not_overwritten(archive: Path, settings: Settings) -> None:
    with pytest.raises(Conflict, match="already"):
        await put_back(settings, archive)


async def test_with_force_the_old_database_is_kept_beside(archive: Path, empty: Settings) -> None:
    async with opened(empty) as services:
        await services.studio.projects.create(ProjectDraft(title="Replaced"))
    await put_back(empty, archive, force=True)
    async with opened(empty) as services:
        assert [project.title for project in await services.studio.projects.list()] == ["Kept"]
    assert list(empty.state_dir.glob("*.before-restore"))


def rewritten(archive: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> Path:
    """The same archive with each member changed, or left out."""
    target = archive.with_name("changed.tar")
    with tarfile.open(archive) as source, tarfile.open(target, "w") as made:
        for info in source:
            file = source.extractfile(info)
            changed = change(info.name, file.read() if file else b"")
            if changed is not None:
                fresh = tarfile.TarInfo(changed[0])
                fresh.size = len(changed[1])
                made.addfile(fresh, io.BytesIO(changed[1]))
    return target


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda name, data: (name, b"another" if "blobs/" in name else data), id="a changed blob"
        ),
        pytest.param(lambda name, data: None if "blobs/" in name else (name, data), id="a missing blob"),
        pytest.param(lambda name, data: None if name == "manifest.json" else (name, data), id="no list"),
        pytest.param(
            lambda name, data: ("../../evil" if "personas/" in name else name, data),
            id="a path that leads out",
        ),
        pytest.param(
            lambda name, data: (name, data[: len(data) // 2] if "database" in name else data),
            id="half a database",
        ),
    ],
)
async def test_an_archive_that_was_changed_is_refused_and_nothing_is_touched(
    archive: Path, empty: Settings, change: Any
) -> None:
    with pytest.raises(Invalid, match="cannot be restored"):
        await put_back(empty, rewritten(archive, change))
    left = [path.name for path in empty.state_dir.rglob("*") if path.is_file()]
    assert left == ["session.key"]
    await put_back(empty, archive)


def cut_off(archive: Path, kept: float) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole.rstrip(b"\0")) * kept)])


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
async def test_an_archive_that_was_cut_off_is_refused(archive: Path, empty: Settings, kept: float) -> None:
    cut_off(archive, kept)
    with pytest.raises(SoundstageError) as caught:
        await put_back(empty, archive)
    assert caught.value.code == "backup.damaged"


async def test_a_backup_never_overwrites_a_file_and_a_missing_one_is_told(
    services: Services, archive: Path, empty: Settings
) -> None:
    with pytest.raises(Conflict, match="there already"):
        await backup(services.database, services.blobs, services.own_personas, archive)
    with pytest.raises(NotFound):
        await put_back(empty, archive.with_name("none.tar"))
