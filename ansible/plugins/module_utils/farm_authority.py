# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's certificate authority, for TLS between the agents of Consul and Nomad and their clients."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass

from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import (
    SecretStore,
    SecretStoreError,
)
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
# Machines whose clock is a little behind must not refuse a fresh certificate.
_BACKDATED = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Subject:
    """Whom a certificate speaks for: `names` and `addresses` become its alternative names."""

    name: str
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class FarmAuthority:
    """Issues certificates; kept as `tls/ca.pem` (all that are trusted, newest first) and `tls/ca-key.pem`."""

    def __init__(self, store: SecretStore, now: datetime.datetime) -> None:
        self._store = store
        self._now = now

    def ensure(self, farm: str) -> bool:
        """Make the authority when there is none; True when one was made."""
        if self._store.has("tls/ca.pem") and self._store.has("tls/ca-key.pem"):
            self._pair()
            return False
        if self._store.has("tls/ca.pem") != self._store.has("tls/ca-key.pem"):
            raise SecretStoreError(
                f"{self._store.folder}/tls holds only one of ca.pem and ca-key.pem. Restore the other from "
                "your copy; a new authority would lock the whole farm out."
            )
        certificate, key = self.make_pair(farm)
        self._store.commit({"tls/ca-key.pem": key, "tls/ca.pem": certificate})
        return True

    def make_pair(self, farm: str) -> tuple[bytes, bytes]:
        """A new authority's certificate and key, as PEM; nothing is kept."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, f"{farm} farm authority {self._now:%Y-%m-%d}")]
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _BACKDATED)
            .not_valid_after(self._now + datetime.timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)

    def current_only(self) -> bytes:
        """The newest authority's certificate alone, as PEM."""
        return self._pair()[0].public_bytes(serialization.Encoding.PEM)

    def due(self, file: str, subject: Subject, renew_before_days: int) -> str:
        """Returns why `tls/<file>.pem` must be issued anew; empty when it need not."""
        if not (self._store.has(f"tls/{file}.pem") and self._store.has(f"tls/{file}-key.pem")):
            return "missing"
        try:
            certificate = x509.load_pem_x509_certificate(self._store.read(f"tls/{file}.pem"))
        except ValueError:
            return "damaged"
        if not _issued(certificate, self._pair()[0]):
            return "of another authority"
        if certificate.not_valid_after_utc - self._now < datetime.timedelta(days=renew_before_days):
            return "about to expire"
        has = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if set(has) != set(_alternative_names(subject)):
            return "for other names"
        return ""

    def issue(self, file: str, subject: Subject, days: int) -> None:
        """Write `tls/<file>.pem` and its key."""
        authority, authority_key = self._pair()
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject.name)]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _BACKDATED)
            .not_valid_after(min(self._now + datetime.timedelta(days=days), authority.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(_alternative_names(subject)), critical=False)
            # RFC 5280 4.2.1.1; Python 3.13 and newer refuse certificates without it.
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        self._store.commit({f"tls/{file}-key.pem": _key_pem(key), f"tls/{file}.pem": pem})

    def revoke(self, retired: Collection[str]) -> list[str]:
        """Adds the certificates of `retired` machines to `tls/crl.pem` and deletes them with their keys.

        Returns whose they were. The file has one CRL (RFC 5280) for each authority in `tls/ca.pem`, also an
        empty one: OpenSSL refuses every certificate of an authority that has none. They end with the
        authority, so that no farm depends on a run in time.
        """
        keys, present = self._signing_keys(), self._revocation_lists()
        certificates = {
            name: self._certificate(name) for name in retired if self._store.has(f"tls/{name}.pem")
        }
        revoked: set[str] = set()
        blocks = []
        for authority in x509.load_pem_x509_certificates(self._store.read("tls/ca.pem")):
            # By signature: the authorities before and after a rotation may have one name.
            old = next((one for one in present if one.is_signature_valid(_public_key(authority))), None)
            key = next((one for one in keys if one.public_key() == authority.public_key()), None)
            added = {name: one for name, one in certificates.items() if _issued(one, authority)}
            if key is not None and (old is None or added):
                old = self._revocation_list(authority, key, [*(old or ()), *added.values()])
                revoked |= set(added)
            if old is not None:
                blocks.append(old.public_bytes(serialization.Encoding.PEM))
        files: dict[str, bytes | None] = {"tls/crl.pem": b"".join(blocks)}
        if not self._store.has("tls/crl.pem") or self._store.read("tls/crl.pem") != files["tls/crl.pem"]:
            for name in revoked:
                files |= {f"tls/{name}.pem": None, f"tls/{name}-key.pem": None}
            self._store.commit(files)
        return sorted(revoked)

    def _revocation_list(
        self,
        authority: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        entries: list[x509.RevokedCertificate | x509.Certificate],
    ) -> x509.CertificateRevocationList:
        """Signs a list of entries of the list before and of certificates."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.subject)
            .last_update(self._now - _BACKDATED)
            .next_update(authority.not_valid_after_utc)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
            )
        )
        for one in entries:
            if isinstance(one, x509.Certificate):
                entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number)
                one = entry.revocation_date(self._now).build()
            builder = builder.add_revoked_certificate(one)
        return builder.sign(key, hashes.SHA256())

    def _revocation_lists(self) -> list[x509.CertificateRevocationList]:
        if not self._store.has("tls/crl.pem"):
            return []
        end = b"-----END X509 CRL-----\n"
        blocks = self._store.read("tls/crl.pem").split(end)
        return [x509.load_pem_x509_crl(block + end) for block in blocks if block.strip()]

    def _signing_keys(self) -> list[ec.EllipticCurvePrivateKey]:
        """The present one, and in a rotation the next."""
        names = [name for name in ("tls/ca-key.pem", "tls/next/ca-key.pem") if self._store.has(name)]
        keys = [serialization.load_pem_private_key(self._store.read(name), password=None) for name in names]
        return [key for key in keys if isinstance(key, ec.EllipticCurvePrivateKey)]

    def _certificate(self, file: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self._store.read(f"tls/{file}.pem"))

    def _pair(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        try:
            certificate = x509.load_pem_x509_certificates(self._store.read("tls/ca.pem"))[0]
            key = serialization.load_pem_private_key(self._store.read("tls/ca-key.pem"), password=None)
        except (ValueError, IndexError) as error:
            raise SecretStoreError(
                f"The authority in {self._store.folder}/tls is damaged ({error}). Restore it from your copy."
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise SecretStoreError(
                f"{self._store.folder}/tls/ca-key.pem is not the key of ca.pem. Restore both from your copy."
            )
        if certificate.not_valid_after_utc < self._now:
            raise SecretStoreError(
                f"The farm's authority expired on {certificate.not_valid_after_utc:%Y-%m-%d}; its machines "
                f"trust nobody any more. Move ca.pem and ca-key.pem out of {self._store.folder}/tls, and "
                "run the playbook once with -e farm__take_over=true: it makes a new authority and new "
                "certificates."
            )
        return certificate, key


def _public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise SecretStoreError("tls/ca.pem holds an authority that is not of this farm's kind (P-256).")
    return key


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError):
        return False
    return True


def _alternative_names(subject: Subject) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in (subject.name, *subject.names)]
    for address in subject.addresses:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError:
            names.append(x509.DNSName(address))
    return list(dict.fromkeys(names))


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
