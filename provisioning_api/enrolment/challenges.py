"""Proof that a ramdisk holds the key that it presents: it signs a challenge that only we can make.

The challenge stands for time and nonce of the signature: it carries its own end by our clock, because a
machine that has just started may think that it is 1970 or tomorrow, and it is good for one call.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.enrolment.repository import UsedChallenges
from soundstage.errors import Unauthorized

LIFETIME_S = 15 * 60
ASK_AGAIN = "Ask for another challenge, and sign that one."

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey


class Challenges:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, subject: str) -> str:
        """Returns a challenge for one call of `subject` (a machine id, or an unknown key), valid
        for fifteen minutes.
        """
        end, nonce = str(int(time.time()) + LIFETIME_S), secrets.token_hex(8)
        return f"{end}.{nonce}.{self._mac(subject, end, nonce)}"

    def check(self, subject: str, challenge: str) -> None:
        """Raise `enrolment.bad_challenge` for one that is not ours or not for this subject, and
        `enrolment.challenge_expired` for one that is too old by our clock.
        """
        end, nonce, mac = [*challenge.split("."), "", ""][:3]
        if not hmac.compare_digest(mac.encode(), self._mac(subject, end, nonce).encode()):
            raise Unauthorized(
                "enrolment.bad_challenge", "The challenge is not ours, or not for this machine.", ASK_AGAIN
            )
        if int(end) < time.time():
            raise Unauthorized(
                "enrolment.challenge_expired",
                f"The challenge ended {int(time.time()) - int(end)} s ago by our clock.",
                ASK_AGAIN,
            )

    async def spend(self, session: AsyncSession, challenge: str) -> None:
        """Use a checked challenge up, in the transaction of the call that it signs; raise
        `enrolment.challenge_used` for a call that was heard already.
        """
        end, nonce, _ = challenge.split(".")
        if not await UsedChallenges(session).add(nonce, datetime.fromtimestamp(int(end), UTC)):
            raise Unauthorized(
                "enrolment.challenge_used", "A call with this challenge was heard already.", ASK_AGAIN
            )

    def _mac(self, subject: str, end: str, nonce: str) -> str:
        text = f"challenge\n{subject}\n{end}\n{nonce}"
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def text_to_sign(verb: str, subject: str, challenge: str, payload: str) -> bytes:
    """Return what is signed: verb (it stands for method and path), subject, challenge and the SHA-256 of the
    payload, a line each, so that no call can be taken for another one.
    """
    return "\n".join((verb, subject, challenge, hashlib.sha256(payload.encode()).hexdigest())).encode()


def check_signature_of(key: PublicKey, text: bytes, signature_base64: str) -> None:
    """ECDSA and RSA (PKCS #1 v1.5) with SHA-256, or Ed25519. Raises `enrolment.bad_signature`."""
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
    """Ed25519 (RFC 8032). Raises `enrolment.bad_signature`."""
    try:
        if key_hex is None:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key_hex)).verify(bytes.fromhex(signature_hex), text)
    except (InvalidSignature, ValueError) as error:
        raise _bad_signature("The signature does not fit the key that this machine reported.") from error


def _bad_signature(sentence: str) -> Unauthorized:
    return Unauthorized(
        "enrolment.bad_signature",
        sentence,
        "If the machine was started anew meanwhile, let it report again.",
    )
