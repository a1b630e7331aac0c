"""Proof that the ramdisk that speaks is the one that spoke before: it signs a challenge that only we can
make.

The challenge carries its own end and an HMAC, so nothing is stored; its clock is ours, because a machine
that has just started may think that it is 1970.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from soundstage.errors import Unauthorized

LIFETIME_S = 15 * 60

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey


class Challenges:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, machine_id: str) -> str:
        """Good for this machine and fifteen minutes."""
        end = str(int(time.time()) + LIFETIME_S)
        return f"{end}.{self._mac(machine_id, end)}"

    def check(self, machine_id: str, challenge: str) -> None:
        """Raises `agent.bad_challenge` for one that is not ours, not this machine's, or too old."""
        end, _, mac = challenge.partition(".")
        ours = hmac.compare_digest(mac.encode(), self._mac(machine_id, end).encode())
        if not ours or not end.isdigit() or int(end) < time.time():
            raise Unauthorized(
                "agent.bad_challenge",
                "The challenge is not ours, not for this machine, or too old.",
                "Report again (`POST /api/agent/discover`), and sign the challenge in the answer.",
            )

    def _mac(self, machine_id: str, end: str) -> str:
        return hmac.new(self._secret, f"challenge\n{machine_id}\n{end}".encode(), hashlib.sha256).hexdigest()


def signed_text(verb: str, machine_id: str, challenge: str, payload: str) -> bytes:
    """What is signed: four lines, so that no call can be taken for another one."""
    return "\n".join((verb, machine_id, challenge, hashlib.sha256(payload.encode()).hexdigest())).encode()


def check_signature_of(key: PublicKey, text: bytes, signature_base64: str) -> None:
    """ECDSA and RSA (PKCS #1 v1.5) with SHA-256, or Ed25519. Raises `agent.bad_signature`."""
    try:
        signature = base64.b64decode(signature_base64, validate=True)
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPublicKey():
                key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
            case _:
                key.verify(signature, text)
    except (InvalidSignature, ValueError) as error:
        raise _bad_signature("The signature does not fit the key of this certificate.") from error


def check_signature(key_hex: str | None, text: bytes, signature_hex: str) -> None:
    """Ed25519 (RFC 8032). Raises `agent.bad_signature`."""
    try:
        if key_hex is None:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key_hex)).verify(bytes.fromhex(signature_hex), text)
    except (InvalidSignature, ValueError) as error:
        raise _bad_signature("The signature does not fit the key that this machine reported.") from error


def _bad_signature(sentence: str) -> Unauthorized:
    return Unauthorized(
        "agent.bad_signature",
        sentence,
        "If the machine was started anew meanwhile, let it report again.",
    )
