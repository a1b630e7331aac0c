"""Encrypts the data key with an AES key that never leaves a PKCS#11 token (HSM, smart card, SoftHSM)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from soundstage.errors import Invalid, Unavailable

NONCE_BYTES, TAG_BITS = 12, 128


class Pkcs11Sealer:
    """Logs in to the token for each use. Needs the extra `pkcs11`."""

    def __init__(self, library: Path | None, token: str, key: str, pin_file: Path | None) -> None:
        if library is None or pin_file is None or not token:
            raise Invalid(
                "sealing.no_token",
                "Sealing by PKCS#11 takes a library, a token and its PIN.",
                "Set `sealing.pkcs11_library`, `sealing.pkcs11_token` and `sealing.pkcs11_pin_file`.",
            )
        self._library, self._token, self._key, self._pin_file = library, token, key, pin_file

    @property
    def opens_with(self) -> str:
        return f"the key {self._key!r} on the PKCS#11 token {self._token!r}"

    def wrap(self, key: bytes) -> bytes:
        import pkcs11

        nonce = secrets.token_bytes(NONCE_BYTES)
        with self._session() as session:
            try:
                found = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self._key)
            except pkcs11.exceptions.NoSuchKey:
                # python-pkcs11 sets SENSITIVE; without EXTRACTABLE nobody can read it from the token.
                template = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
                found = session.generate_key(
                    pkcs11.KeyType.AES, 256, label=self._key, store=True, template=template
                )
            return nonce + bytes(found.encrypt(key, **_gcm(nonce)))

    def unwrap(self, wrapped: bytes) -> bytes:
        import pkcs11

        with self._session() as session:
            try:
                found = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self._key)
                return bytes(found.decrypt(wrapped[NONCE_BYTES:], **_gcm(wrapped[:NONCE_BYTES])))
            except pkcs11.exceptions.NoSuchKey as error:
                raise self._failed("there is no such key on it") from error
            except (
                pkcs11.exceptions.EncryptedDataInvalid,
                pkcs11.exceptions.GeneralError,
                pkcs11.exceptions.FunctionFailed,
            ) as error:
                raise self._failed("it is another key than the one that sealed them") from error

    @contextmanager
    def _session(self) -> Iterator[Any]:
        try:
            import pkcs11
        except ImportError as error:
            raise Unavailable(
                "sealing.no_pkcs11",
                "The Python package python-pkcs11 is not installed.",
                "Install soundstage with the extra `pkcs11`.",
            ) from error
        try:
            pin = self._pin_file.read_text(encoding="utf-8").strip()
            token = pkcs11.lib(str(self._library)).get_token(token_label=self._token)
            with token.open(rw=True, user_pin=pin) as session:
                yield session
        except OSError as error:
            raise self._failed(f"{self._pin_file} cannot be read: {error.strerror}") from error
        except pkcs11.exceptions.PinIncorrect as error:
            raise self._failed(f"the PIN in {self._pin_file} is wrong") from error
        except (pkcs11.exceptions.PKCS11Error, RuntimeError) as error:
            raise self._failed(type(error).__name__) from error

    def _failed(self, why: str) -> Unavailable:
        return Unavailable(
            "sealing.token_failed",
            f"The private keys do not open with {self.opens_with}: {why}.",
            "Check `sealing.pkcs11_*` with `pkcs11-tool --list-objects --login`; too many wrong PINs lock a "
            "token. Nothing was changed.",
        )


def _gcm(nonce: bytes) -> dict[str, Any]:
    from pkcs11 import GCMParams, Mechanism

    return {"mechanism": Mechanism.AES_GCM, "mechanism_param": GCMParams(nonce, None, TAG_BITS)}
