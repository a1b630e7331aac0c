"""API keys: made, scoped, expiring, rotated, revoked; only their hashes are stored."""

from policy.keys.service import KeyService
from policy.keys.states import KeyState

__all__ = ["KeyService", "KeyState"]
