"""The audit log: who asked for what, who approved it and the outcome, as a tamper-evident hash chain."""

from policy.audit.schemas import AuditLineOut, AuditVerdict
from policy.audit.service import AuditEntry, AuditLog

__all__ = ["AuditEntry", "AuditLineOut", "AuditLog", "AuditVerdict"]
