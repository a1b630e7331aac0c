"""Signs SSH host keys and the short-lived keys of runs and commands (OpenSSH PROTOCOL.certkeys)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from provisioning_api.certificates.key_folder import KeyFolder
from soundstage.errors import Invalid

# Clocks of machines that have just started may be behind.
BACKDATE = timedelta(hours=1)
MIN_RSA_BITS = 3072

SshPublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class SshAuthority:
    """Signs with two certificate authorities: one for host keys, one for user keys."""

    def __init__(self, keys: KeyFolder) -> None:
        self._keys = keys

    @property
    def host_ca_public_key(self) -> str:
        """The public key that `@cert-authority` lines of known_hosts name."""
        return _line(self._keys.ed25519("ssh_host_ca"))

    @property
    def user_ca_public_key(self) -> str:
        """The public key for `TrustedUserCAKeys`."""
        return _line(self._keys.ed25519("ssh_user_ca"))

    def host_certificate(self, key: SshPublicKey, serial: int, name: str, lifetime: timedelta) -> str:
        """Signs the key of one host; the principal is the machine's name, which callers use as
        HostKeyAlias.
        """
        return self._sign(
            key, serial, serialization.SSHCertificateType.HOST, name, (name,), lifetime, "ssh_host_ca"
        )

    def user_certificate(
        self, key: SshPublicKey, serial: int, key_id: str, user: str, lifetime: timedelta
    ) -> str:
        """Signs a key that logs in as `user`; `key_id` names the run and appears in the log of every sshd."""
        kind = serialization.SSHCertificateType.USER
        return self._sign(key, serial, kind, key_id, (user,), lifetime, "ssh_user_ca")

    def _sign(
        self,
        key: SshPublicKey,
        serial: int,
        kind: serialization.SSHCertificateType,
        key_id: str,
        principals: Sequence[str],
        lifetime: timedelta,
        ca_key_name: str,
    ) -> str:
        now = int(time.time())
        builder = (
            serialization.SSHCertificateBuilder()
            .public_key(key)
            .serial(serial)
            .type(kind)
            .key_id(key_id.encode())
            .valid_principals([name.encode() for name in principals])
            .valid_after(now - int(BACKDATE.total_seconds()))
            .valid_before(now + int(lifetime.total_seconds()))
        )
        if kind is serialization.SSHCertificateType.USER:
            # A terminal for people; no forwarding of anything.
            builder = builder.add_extension(b"permit-pty", b"")
        return builder.sign(self._keys.ed25519(ca_key_name)).public_bytes().decode()


def parse_public_key(line: str) -> SshPublicKey:
    """Parses one line of OpenSSH's form; raises Invalid for weak and for unknown kinds."""
    try:
        key = serialization.load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _bad("it cannot be read") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise _bad(f"RSA keys need at least {MIN_RSA_BITS} bits")
    if not isinstance(key, Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise _bad("use Ed25519, ECDSA or RSA")
    return key


def key_line(key: SshPublicKey) -> str:
    """Returns `ssh-ed25519 AAAA…`, without the comment, which anyone may have written."""
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def _line(key: Ed25519PrivateKey) -> str:
    return key_line(key.public_key())


def _bad(why: str) -> Invalid:
    return Invalid(
        "enrolment.bad_host_key", f"The SSH host key cannot be used: {why}.", "Send one public key line."
    )
