"""Lists revoked certificates in the formats that TLS and SSH read."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization

from provisioning_api.certificates.issuer import SSH_HOST, X509
from provisioning_api.certificates.ssh_authority import SshAuthority
from provisioning_api.certificates.tls_authority import TlsAuthority
from provisioning_api.enrolment.repository import Credentials
from soundstage.database import Database, utcnow


class Revocations:
    def __init__(self, db: Database, ssh: SshAuthority, tls: TlsAuthority) -> None:
        self._db = db
        self._ssh = ssh
        self._tls = tls

    async def crl(self) -> str:
        """Returns a CRL in PEM of every revoked machine certificate that has not expired."""
        async with self._db.session() as session:
            found = await Credentials(session).list_revoked(X509, utcnow())
        crl = self._tls.revocation_list(
            (int(one.serial), one.revoked_at) for one in found if one.revoked_at is not None
        )
        return crl.decode()

    async def host_key_list(self) -> str:
        """Returns known_hosts lines: `@cert-authority` for all names, `@revoked` for keys of revoked
        certificates.
        """
        async with self._db.session() as session:
            found = await Credentials(session).list_revoked(SSH_HOST, utcnow())
            good = await Credentials(session).good_host_keys(SSH_HOST)
        lines = [f"@cert-authority * {self._ssh.host_ca_public_key}"]
        revoked = dict.fromkeys(_key_of(one.content) for one in found)
        # A machine that enrolled anew with the same key is good again.
        current_keys = {_key_of(content) for content in good}
        lines += [f"@revoked * {line}" for line in revoked if line not in current_keys]
        return "\n".join(lines) + "\n"


def _key_of(certificate: str) -> str:
    found = serialization.load_ssh_public_identity(certificate.encode())
    if not isinstance(found, serialization.SSHCertificate):
        raise TypeError("a stored host certificate is none")
    key = found.public_key()
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_bytes(encoding, form).decode()
