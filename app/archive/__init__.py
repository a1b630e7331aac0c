"""Backups: the database, the blobs and the own personas of one installation in one file, and the way back."""

from app.archive.reading import Restored, restore
from app.archive.writing import Backup, backup

__all__ = ["Backup", "Restored", "backup", "restore"]
