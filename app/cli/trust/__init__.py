"""Commands for keys, approvals and the audit log."""
