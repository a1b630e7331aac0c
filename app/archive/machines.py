"""State of the provisioning process in backups: its database, its keys, and what a restore must close."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from app.archive.manifest import KEYS
from app.archive.secrets import Secrets, look_at_machine_secrets
from app.migrating import PROVISIONING, current_revision, migrate, newest_revision
from app.provisioning import build_process
from policy.audit.head import KEY_FILE as AUDIT_KEY
from provisioning_api.restored import Closed
from soundstage.database import Database
from soundstage.key_sealing import HEADER
from soundstage.sealing import KEY_FILE, Sealer
from soundstage.settings import Settings


@dataclass(frozen=True, slots=True)
class MachineState:
    """`database` is None where machines are kept in PostgreSQL. `key_folders`: by their name in archives."""

    database: Path | None = None
    key_folders: dict[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> MachineState:
        """Returns where an installation keeps its machines, whether there are any or not."""
        state = settings.state_dir.absolute()
        folders = {"studio": state, "provisioning": _keys_folder(settings)}
        return cls(Database(settings.provisioning_database_url).path, folders)

    def keys(self) -> list[tuple[str, Path]]:
        """Private keys by their name in archives: with them an attacker can impersonate this farm."""
        found = [("studio", self.key_folders["studio"] / name) for name in (AUDIT_KEY, KEY_FILE, HEADER)]
        found += [("provisioning", path) for path in sorted(self.key_folders["provisioning"].glob("*"))]
        return [(f"{KEYS}/{owner}/{path.name}", path) for owner, path in found if path.is_file()]


def _keys_folder(settings: Settings) -> Path:
    return settings.state_dir.absolute() / "provisioning" / "keys"


def has_database(settings: Settings) -> bool:
    """Returns whether the studio's own database is there, or a database that others back up."""
    return _is_there(settings.database.url, settings.database_url)


def has_machines(settings: Settings) -> bool:
    """The same of the machines' database."""
    return _is_there(settings.provisioning.database_url, settings.provisioning_database_url)


def _is_there(named: str | None, used: str) -> bool:
    path = Database(used).path
    return bool(named) if path is None else path.exists()


async def machine_secrets(settings: Settings) -> Secrets:
    """Count the sealed secrets of machines, and those that the keys of this installation do not open."""
    database = Database(settings.provisioning_database_url)
    try:
        if await current_revision(database) != newest_revision(PROVISIONING):
            return Secrets(0, 0)
        return await look_at_machine_secrets(
            database, Sealer(_keys_folder(settings), settings.sealing).unseal
        )
    finally:
        await database.close()


async def close_pending(settings: Settings, *, accept_unproven: bool = False) -> Closed:
    """After a restore: brings the machines' database up to date, and ends what was open when the backup was
    made. Gives how many machines that concerns, and whether their audit log goes on.
    """
    process = build_process(settings)
    try:
        await migrate(process.database, settings.state_dir, tree=PROVISIONING)
        return await process.finish_restore(accept_unproven=accept_unproven)
    finally:
        process.services.audit.close()
        await process.database.close()
