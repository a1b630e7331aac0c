"""The key that signs videos, created once in `state_dir/tls`.

Its certificate is of an authority whose own key is thrown away, so that it never signs another.
"""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fastapi import APIRouter, Depends, Response

from app.server.https import authority_folder
from policy import public
from provisioning_api.certificates.key_folder import KeyFolder
from provisioning_api.certificates.ssh_authority import BACKDATE
from provisioning_api.certificates.tls_authority import key_usage
from soundstage.database import utcnow
from soundstage.settings import Settings
from studio.guards import ReadRenders
from studio.renders.credentials import ContentCredentials, SigningKey, read_credentials
from studio.renders.signing import VideoSigner
from studio.wiring import StudioDep

KEY_FILE = "videos.key"
CHAIN_FILE = "videos.pem"
LIFETIME = timedelta(days=3650)
ES256_BYTES = 32


def video_signer(settings: Settings) -> VideoSigner:
    """Signs with the installation's key, which is created when the first video is done."""
    return VideoSigner(lambda: signing_key(settings), settings.state_dir.absolute() / "cache")


def signing_key(settings: Settings) -> SigningKey:
    """Returns the installation's key; raises `keys.unusable` and `sealing.*`."""
    folder = KeyFolder(authority_folder(settings), settings.sealing)
    key = folder.p256(KEY_FILE)

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(ES256_BYTES, "big") + s.to_bytes(ES256_BYTES, "big")

    return SigningKey(sign, folder.public(CHAIN_FILE, lambda: _chain(key)).decode())


def authority_pem(settings: Settings) -> str:
    """Returns the certificate of the authority: the last one of the chain."""
    chain = x509.load_pem_x509_certificates(signing_key(settings).chain_pem.encode())
    return chain[-1].public_bytes(serialization.Encoding.PEM).decode()


def video_authority_router(settings: Settings) -> APIRouter:
    """`GET /api/videos-ca.pem`, and what the signature inside a video is worth."""
    router = APIRouter(tags=["renders"])

    @router.get("/api/videos-ca.pem", dependencies=[Depends(public("a certificate is no secret"))])
    async def read_video_authority() -> Response:
        """Return the certificate by which validators of C2PA know the videos of this installation."""
        pem = await asyncio.to_thread(authority_pem, settings)
        return Response(
            pem,
            media_type="application/x-pem-file",
            headers={"Content-Disposition": 'attachment; filename="soundstage-videos-ca.pem"'},
        )

    @router.get("/api/renders/{render_id}/credentials")
    async def read_video_credentials(render_id: str, studio: StudioDep, _: ReadRenders) -> ContentCredentials:
        """Validate the Content Credentials (C2PA) inside a video by the authority of this installation."""
        _output, path = await studio.renders.open_output(render_id, "video")
        return await asyncio.to_thread(lambda: read_credentials(path, authority_pem(settings)))

    return router


def _chain(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Returns certificates that the C2PA specification (§14.5) allows: of the key and its authority."""
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer, subject = _name("Soundstage videos authority"), _name("Soundstage videos")
    root = (
        _builder(issuer, issuer, authority.public_key(), authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(ca=True), critical=True)
    ).sign(authority, hashes.SHA256())
    leaf = (
        _builder(subject, issuer, key.public_key(), authority.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    ).sign(authority, hashes.SHA256())
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, root))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    authority: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = utcnow()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Soundstage"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
