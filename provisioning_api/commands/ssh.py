"""Runs one command over SSH with paramiko: a pinned host key, a certificate of minutes, limits; called by
the service.

paramiko does not check host certificates. It need not: we signed this machine's host key ourselves, so we
know it, and take no other.
"""

from __future__ import annotations

import io
import shlex
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from soundstage.errors import Upstream

CONNECT_S = 10.0
_READ = 32 << 10


@dataclass(frozen=True, slots=True)
class Target:
    """Address, user and the one host key (`ssh-ed25519 AAAA…`) that is accepted."""

    name: str
    address: str
    port: int
    user: str
    host_key: str


@dataclass(frozen=True, slots=True)
class Ran:
    """`exit_code` is None when the time was up. `output` is both streams, cut at the limit."""

    exit_code: int | None
    output: str
    truncated: bool
    seconds: float


def run_command(
    target: Target,
    argv: Sequence[str],
    key: Ed25519PrivateKey,
    certificate: str,
    *,
    timeout_s: float,
    limit: int,
) -> Ran:
    """Blocks until it has ended or the time is up. `argv` came through the allow-list; it is quoted all the
    same.
    """
    started = time.monotonic()
    try:
        transport = _connected(target, key, certificate)
    except (OSError, paramiko.SSHException) as error:
        raise Upstream(
            "command.no_connection",
            f"{target.name} ({target.address}:{target.port}) could not be logged in to: {error}.",
            "Check that it is on, and that it was not set up anew with other keys since it enrolled.",
        ) from error
    try:
        channel = transport.open_session(timeout=CONNECT_S)
        channel.set_combine_stderr(True)
        channel.exec_command(shlex.join(argv))
        output, truncated, ended = _read(channel, started + timeout_s, limit)
        code = channel.recv_exit_status() if ended else None
    except (OSError, paramiko.SSHException) as error:
        raise Upstream(
            "command.broken_off", f"The connection to {target.name} broke off: {error}.", "Try again."
        ) from error
    finally:
        # Ends what still runs there: its standard streams close.
        transport.close()
    return Ran(code, output.decode(errors="replace"), truncated, round(time.monotonic() - started, 3))


def _connected(target: Target, key: Ed25519PrivateKey, certificate: str) -> paramiko.Transport:
    kind, _, blob = target.host_key.partition(" ")
    connection = socket.create_connection((target.address, target.port), CONNECT_S)
    transport = paramiko.Transport(connection)
    try:
        transport.banner_timeout = transport.auth_timeout = CONNECT_S
        transport.get_security_options().key_types = _kinds(kind)
        transport.start_client(timeout=CONNECT_S)
        shown = transport.get_remote_server_key()
        if shown.get_base64() != blob.split()[0]:
            raise paramiko.SSHException("it shows another host key than the one it enrolled with")
        transport.auth_publickey(target.user, _with_certificate(key, certificate))
    except BaseException:
        transport.close()
        raise
    return transport


def _kinds(kind: str) -> tuple[str, ...]:
    # Names of keys and of signatures are the same for all but RSA.
    return ("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,)


def _with_certificate(key: Ed25519PrivateKey, certificate: str) -> paramiko.PKey:
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    credential = paramiko.Ed25519Key(file_obj=io.StringIO(encoded.decode()))
    credential.load_certificate(certificate)
    return credential


def _read(channel: paramiko.Channel, deadline: float, limit: int) -> tuple[bytes, bool, bool]:
    """Output, whether more was thrown away, and whether the command has ended."""
    output, truncated = bytearray(), False
    while (left := deadline - time.monotonic()) > 0:
        channel.settimeout(left)
        try:
            piece = channel.recv(_READ)
        except TimeoutError:
            break
        if not piece:
            return bytes(output), truncated, True
        room = limit - len(output)
        output += piece[:room]
        # Read on, or the command would wait for us with a full pipe.
        truncated = truncated or len(piece) > room
    return bytes(output), truncated, False
