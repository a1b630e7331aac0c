"""The end of a machine: drain, revoke, wipe, record."""
