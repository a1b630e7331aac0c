"""Backups: database, blobs, own personas and machines of one installation in one file, and the way back."""

from app.archive.contents import Contents, gather
from app.archive.machines import (
    MachineState,
    close_pending,
    has_database,
    has_machines,
    machine_secrets,
)
from app.archive.reading import restore
from app.archive.workspace import BackupWorkspace, Claim
from app.archive.writing import Backup, check_target, save

__all__ = [
    "Backup",
    "BackupWorkspace",
    "Claim",
    "Contents",
    "MachineState",
    "check_target",
    "close_pending",
    "gather",
    "has_database",
    "has_machines",
    "machine_secrets",
    "restore",
    "save",
]
