"""Looks which SSH host key a machine shows, without logging in; used when an operator or a rule pins it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket

import paramiko

from soundstage.errors import Unavailable

LIMIT_S = 10.0


async def scan_host_key(address: str, port: int) -> str:
    """Returns the host key `ssh-ed25519 AAAA…`; raises Unavailable when nobody answers there."""
    return await asyncio.to_thread(_look, address, port)


def fingerprint_of(line: str) -> str:
    """As `ssh-keygen -l` prints it."""
    blob = base64.b64decode(line.split()[1])
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def _look(address: str, port: int) -> str:
    try:
        with socket.create_connection((address, port), LIMIT_S) as connection:
            transport = paramiko.Transport(connection)
            try:
                # One kind, or the order of preference would decide which key is pinned.
                transport.get_security_options().key_types = ("ssh-ed25519",)
                transport.start_client(timeout=LIMIT_S)
                key = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, paramiko.SSHException) as error:
        raise Unavailable(
            "machine.no_host_key",
            f"{address}:{port} shows no Ed25519 host key: {error}.",
            "Check that its sshd runs and has an Ed25519 key, then pin it: `soundstage machines pin NAME`.",
        ) from error
    return f"{key.get_name()} {key.get_base64()}"
