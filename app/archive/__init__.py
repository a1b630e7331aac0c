"""Backups: database, blobs, own personas and machines of one installation in one file, and the way back."""

from app.archive.machines import MachineState, close_what_was_open, has_database, has_machines
from app.archive.reading import Restored, restore
from app.archive.writing import Backup, backup

__all__ = [
    "Backup",
    "MachineState",
    "Restored",
    "backup",
    "close_what_was_open",
    "has_database",
    "has_machines",
    "restore",
]
