# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's SSH authorities: one signs host keys, the other the short-lived certificates for logins."""

from __future__ import annotations

import datetime
import time

from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import (
    SecretStore,
    SecretStoreError,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateBuilder,
    SSHCertificateType,
)

_BACKDATED_S = 300
# Ansible logs in, copies files and runs commands; it forwards nothing.
_USER_EXTENSIONS = (b"permit-pty",)


class SshAuthority:
    """Kept as `ssh/<name>` and `ssh/<name>.pub` in OpenSSH's format; `name` is `host_ca` or `user_ca`."""

    def __init__(self, store: SecretStore, name: str, now: datetime.datetime) -> None:
        self._store = store
        self._name = name
        self._now = int(now.timestamp())

    def ensure(self, farm: str) -> bool:
        """Make the authority when there is none; True when one was made."""
        return ensure_key(self._store, f"ssh/{self._name}", f"{farm}-{self._name}")

    @property
    def public_line(self) -> str:
        """The public key, as it stands in `known_hosts` and `TrustedUserCAKeys`."""
        return " ".join(self._store.text(f"ssh/{self._name}.pub").split()[:2])

    @property
    def trusted_lines(self) -> list[str]:
        """The public keys that are trusted: this authority's, and during a rotation the other one's."""
        other = f"ssh/next/{self._name}.pub"
        lines = [self.public_line]
        if self._store.has(other):
            lines.append(" ".join(self._store.text(other).split()[:2]))
        return lines

    def begin_rotation(self, farm: str) -> None:
        """Make the next authority; it is trusted from now on."""
        ensure_key(self._store, f"ssh/next/{self._name}", f"{farm}-{self._name}")

    def switch_rotation(self) -> None:
        """The next authority signs; this one takes its place among those that are only trusted."""
        if not self._store.has(f"ssh/next/{self._name}") or self._store.has(
            f"ssh/next/{self._name}.switched"
        ):
            return
        changes: dict[str, bytes | None] = {f"ssh/next/{self._name}.switched": b""}
        for end in ("", ".pub"):
            current, following = f"ssh/{self._name}{end}", f"ssh/next/{self._name}{end}"
            changes[current] = self._store.read(following)
            changes[following] = self._store.read(current)
        self._store.commit(changes)

    def finish_rotation(self) -> None:
        """Trust the old authority no more."""
        self._store.commit({f"ssh/next/{self._name}{end}": None for end in (".switched", "", ".pub")})

    def sign_host(self, public_line: str, name: str, principals: list[str], days: int) -> bytes:
        """A host certificate for the key in `public_line`."""
        return self._sign(public_line, SSHCertificateType.HOST, name, principals, days * 86400)

    def sign_user(self, public_line: str, name: str, principals: list[str], seconds: int) -> bytes:
        """A user certificate: good for `principals` on every machine that trusts this authority."""
        return self._sign(public_line, SSHCertificateType.USER, name, principals, seconds)

    def current(
        self, certificate_line: bytes, public_line: str, principals: list[str], left_s: float
    ) -> bool:
        """Returns whether the certificate is ours, of this key and principals, and good for `left_s` seconds
        more.
        """
        try:
            certificate = serialization.load_ssh_public_identity(certificate_line)
        except ValueError:
            return False
        if not isinstance(certificate, SSHCertificate):
            return False
        signer = certificate.signature_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        own = certificate.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return (
            signer.decode() == self.public_line
            and own.decode() == " ".join(public_line.split()[:2])
            and {name.decode() for name in certificate.valid_principals} == set(principals)
            and certificate.valid_before - self._now > left_s
        )

    def _sign(
        self, public_line: str, kind: SSHCertificateType, name: str, principals: list[str], seconds: int
    ) -> bytes:
        try:
            key = serialization.load_ssh_public_key(public_line.encode())
        except (ValueError, TypeError) as error:
            raise SecretStoreError(f"The SSH key of {name} cannot be read: {error}.") from error
        builder = (
            SSHCertificateBuilder()
            .public_key(key)  # type: ignore[arg-type]
            .type(kind)
            .serial(time.time_ns())
            .key_id(name.encode())
            .valid_principals([principal.encode() for principal in principals])
            .valid_after(self._now - _BACKDATED_S)
            .valid_before(self._now + seconds)
        )
        if kind is SSHCertificateType.USER:
            for extension in _USER_EXTENSIONS:
                builder = builder.add_extension(extension, b"")
        return builder.sign(self._private()).public_bytes() + b"\n"

    def _private(self) -> ed25519.Ed25519PrivateKey:
        try:
            key = serialization.load_ssh_private_key(self._store.read(f"ssh/{self._name}"), password=None)
        except (ValueError, TypeError) as error:
            raise SecretStoreError(
                f"{self._store.folder}/ssh/{self._name} is damaged ({error}). Restore it from your copy."
            ) from error
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise SecretStoreError(f"{self._store.folder}/ssh/{self._name} is not an ed25519 key.")
        return key


def ensure_key(store: SecretStore, name: str, comment: str) -> bool:
    """Make an ed25519 key pair `name` and `name.pub` when there is none; True when one was made."""
    if store.has(name) and store.has(f"{name}.pub"):
        return False
    if store.has(f"{name}.pub") and not store.has(name):
        raise SecretStoreError(
            f"{store.folder}/{name} is missing beside its public key. Restore it from your copy."
        )
    make_key(store, name, comment)
    return True


def make_key(store: SecretStore, name: str, comment: str) -> None:
    """A new key pair in place of the old one."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    store.commit({name: private, f"{name}.pub": public + f" {comment}\n".encode()})
