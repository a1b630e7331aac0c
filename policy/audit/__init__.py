"""Who wanted what, who agreed and what came of it, as a chain of hashes that shows every later change."""

from policy.audit.schemas import AuditLineOut, AuditVerdict, Story
from policy.audit.service import AuditEntry, AuditLog

__all__ = ["AuditEntry", "AuditLineOut", "AuditLog", "AuditVerdict", "Story"]
