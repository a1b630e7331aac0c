"""Finishes the restore of a database before a process uses it, and says what is wrong with its audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from policy.audit.recorded_head import Origin
from soundstage.database import Database
from soundstage.database.restores import (
    Restore,
    exit_when_restored,
    find_restore,
    note_closed,
    restore_lock,
)
from soundstage.errors import Conflict
from soundstage.private_files import replace_file

RESTORE_FILE = "restore-id"


async def note_finished(database: Database, folder: Path) -> None:
    """Notes, in the mark of the database and in `folder`, that what was open in the backup is closed."""
    if (restore := await note_closed(database)) is not None:
        _remember(folder, restore)


async def finish_before_use(
    database: Database,
    finish: Callable[[], Awaitable[Origin]],
    adopt: Callable[[str], Awaitable[None]],
    folder: Path,
    key: Path,
    name: str,
) -> None:
    """Awaits `finish` where a backup was loaded and nobody has closed what was open in it, and `adopt` with
    the id of the restore where another process has: a recorded head may be ahead of the log that came back.
    Has the process end when a backup is loaded later.

    Raises Conflict `restore.unproven_log`: nobody may start a server on such a database unaware.
    """
    restore = await find_restore(database)
    if restore is not None:
        async with restore_lock(database):
            # Another process may have finished it meanwhile.
            restore = await find_restore(database) or restore
            if restore.is_open:
                if (await finish()).unproven:
                    raise Conflict("restore.unproven_log", *unproven_log(key, name))
            elif restore.id != _remembered(folder):
                await adopt(restore.id)
                _remember(folder, restore)
    exit_when_restored(database, restore)


def _remember(folder: Path, restore: Restore) -> None:
    replace_file(folder / RESTORE_FILE, restore.id.encode(), 0o600)


def _remembered(folder: Path) -> str:
    file = folder / RESTORE_FILE
    return file.read_text(encoding="ascii") if file.exists() else ""


def unproven_log(key: Path, name: str) -> tuple[str, str]:
    """Returns what is wrong with an audit log that nothing proves, and what to do about it."""
    accept = "`soundstage restore --finish --accept-unproven-log`"
    return (
        f"The {name} was written with another key than {key}, or there is none. Nothing was added to it.",
        "Put the old key there and run `soundstage restore --finish` before the server starts. If it is "
        f"lost, {accept} goes on; the old lines cannot be verified any more.",
    )
