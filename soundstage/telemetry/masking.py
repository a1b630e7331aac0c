"""Keeps secrets out of the log, by the name of a field and the look of a value; used by `logs`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

MASK = "[masked]"

# A name is cut into words: `api_key`, `X-Api-Key` and `apiKey` are caught, `monkey` and `key_id` are not.
_SECRET_WORDS = frozenset(
    {
        "token",
        "secret",
        "password",
        "passwd",
        "key",
        "apikey",
        "authorization",
        "cookie",
        "credential",
    }
)
# `key_id` and `api_key_file` name a secret without being one.
_HARMLESS_ENDINGS = frozenset({"id", "ids", "file", "env", "name", "count", "error"})
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
# API keys are 64 hex digits, and a SHA-256 of content looks the same: the word before it (`sha256:…`,
# `"digest": "…"`, `/blobs/…`) or the name of its field tells them apart. All else is taken for a key.
_HEX_64 = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
_HASH_WORDS = frozenset({"sha256", "hash", "digest", "checksum", "etag"})
_NAME_BEFORE = re.compile(r"([A-Za-z0-9_-]+)[\"']?(?:\s?[:=]\s?|\s)[\"']?$")
_PATH_BEFORE = re.compile(r"/(?:blobs|outputs)/$")
_LONGEST_NAME = 48
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@")


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: every field, however deep, and the message itself."""
    return without_secrets(event)


def without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values by name, as `mask_secrets` lets them be seen."""
    return {name: _masked(name, value) for name, value in values.items()}


def mask_text(text: str) -> str:
    """`text` without keys, bearer tokens and passwords in URLs."""
    text = _HEX_64.sub(_masked_hex, text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", text)


def is_secret_name(name: str) -> bool:
    """Returns whether a field of this name holds a secret."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[-1] in _HARMLESS_ENDINGS:
        return False
    return not _SECRET_WORDS.isdisjoint(word.removesuffix("s") for word in words)


def is_hash_name(name: str) -> bool:
    """Returns whether a field of this name holds hashes of content: `sha256`, `spec_hash`, but not
    `api_key_hash`.
    """
    words = [
        word.removesuffix("es") if word.endswith("hashes") else word.removesuffix("s")
        for word in (found.lower() for found in _WORDS.findall(re.sub("(?i)sha-?256", "sha256", name)))
    ]
    return bool(words) and words[-1] in _HASH_WORDS and _SECRET_WORDS.isdisjoint(words)


def _masked_hex(found: re.Match[str]) -> str:
    """Keep digits that the text before them calls a hash of content."""
    before = found.string[max(0, found.start() - _LONGEST_NAME) : found.start()]
    named = _NAME_BEFORE.search(before)
    is_hash = is_hash_name(named[1]) if named else _PATH_BEFORE.search(before)
    return found[0] if is_hash else MASK


def _masked(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        # A count of tokens is no secret, and a number is never a key here.
        return value
    if is_secret_name(name):
        return MASK
    if isinstance(value, str):
        return value if is_hash_name(name) and _HEX_64.fullmatch(value) else mask_text(value)
    if isinstance(value, bytes):
        return mask_text(value.decode(errors="replace"))
    if isinstance(value, Mapping):
        return {key: _masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", inner) for inner in value]
    return value
