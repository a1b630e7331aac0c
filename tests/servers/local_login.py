"""The Authorization header of the user of this machine, for tests that call a server of their own."""

from __future__ import annotations

from pathlib import Path

from policy import Policy

KEY = "5a" * 32


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def local_headers(state_dir: Path) -> dict[str, str]:
    """With the key that `soundstage up` has made for this state folder."""
    return bearer((state_dir / "local" / "key").read_text())


async def log_in_locally(policy: Policy) -> dict[str, str]:
    """With a key for an application in this process, whose database has its tables."""
    async with policy.db.transaction() as session:
        await policy.keys.register_local(session, KEY)
    return bearer(KEY)
