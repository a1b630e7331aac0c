"""Signs the X.509 certificates of machines (for Consul and Nomad) and of our own TLS port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provisioning_api.certificates.key_folder import KeyFolder, pem_of
from provisioning_api.certificates.ssh_authority import BACKDATE, MIN_RSA_BITS
from provisioning_api.enrolment.challenges import PublicKey
from soundstage.database import utcnow
from soundstage.errors import Invalid

CA_LIFETIME = timedelta(days=3650)
OWN_LIFETIME = timedelta(days=90)
CRL_LIFETIME = timedelta(days=7)


class TlsAuthority:
    """One certificate authority, P-256: that of the farm, which deploy agents carry and trust alone, or that
    of the studio, which browsers are told to trust. Both under `name` as their subject.
    """

    def __init__(self, keys: KeyFolder, name: str = "Soundstage provisioning CA") -> None:
        self._keys = keys
        self._name = name

    @property
    def certificate(self) -> x509.Certificate:
        """Our own, self-signed."""
        return x509.load_pem_x509_certificate(self._keys.public("ca.pem", self._make))

    @property
    def pem(self) -> str:
        return _pem(self.certificate)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as browsers show it: `AB:CD:…`."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def machine_certificate(
        self, csr_pem: str, serial: int, name: str, alternative_names: Iterable[str], lifetime: timedelta
    ) -> str:
        """Signs the key of the CSR, and ignores everything else that the CSR requests."""
        return self._issue(key_of_request(csr_pem), serial, name, (name, *alternative_names), lifetime)

    def server_certificate(self, names: Sequence[str]) -> tuple[str, str]:
        """Returns certificate with chain, and key, of our TLS port, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._issue(key.public_key(), x509.random_serial_number(), "soundstage", names, OWN_LIFETIME)
        return leaf + self.pem, pem_of(key).decode()

    def revocation_list(self, revoked: Iterable[tuple[int, datetime]]) -> bytes:
        """Returns a CRL (RFC 5280) in PEM of serial numbers and moments."""
        now = utcnow()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - BACKDATE)
            .next_update(now + CRL_LIFETIME)
        )
        for serial, at in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            builder = builder.add_revoked_certificate(entry)
        crl = builder.sign(self._keys.p256("ca.key"), hashes.SHA256())
        return crl.public_bytes(serialization.Encoding.PEM)

    def _make(self) -> bytes:
        key = self._keys.p256("ca.key")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)])
        now = utcnow()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now + CA_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return _pem(certificate).encode()

    def _issue(
        self, key: PublicKey, serial: int, name: str, alternative_names: Iterable[str], lifetime: timedelta
    ) -> str:
        now, ca = utcnow(), self.certificate
        names = [_general_name(one) for one in dict.fromkeys(alternative_names)]
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(ca.subject)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now + lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(ca=False), critical=True)
            .add_extension(purposes, critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._keys.p256("ca.key").public_key()),
                critical=False,
            )
            .sign(self._keys.p256("ca.key"), hashes.SHA256())
        )
        return _pem(certificate)


def key_of_certificate(pem: str) -> PublicKey:
    """Returns the key of a certificate that we signed."""
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey):
        raise TypeError("a stored certificate has a key of a kind that is never signed")
    return key


def key_of_request(csr_pem: str) -> PublicKey:
    """Returns the key of a self-signed PKCS #10 request; raises Invalid for weak and for unknown kinds."""
    try:
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        key, signed = csr.public_key(), csr.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise _bad("it cannot be read") from error
    if not signed:
        raise _bad("its signature does not fit its key")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise _bad(f"RSA keys need at least {MIN_RSA_BITS} bits")
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey):
        raise _bad("use ECDSA, Ed25519 or RSA")
    return key


def _bad(why: str) -> Invalid:
    return Invalid(
        "enrolment.bad_csr",
        f"The certificate request cannot be used: {why}.",
        "Send a PKCS #10 request in PEM.",
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def key_usage(*, ca: bool) -> x509.KeyUsage:
    """Returns what the key of an authority, or of one that it has signed, may be used for."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
