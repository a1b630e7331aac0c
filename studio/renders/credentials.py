"""Content Credentials (C2PA) inside MP4 files: the render maker writes, `soundstage verify` reads them.

The library c2pa-python hashes, signs and validates. It asks nobody over the network: no time stamp, no
revocation list, no remote manifest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from soundstage.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from types import ModuleType

MP4 = "video/mp4"
ASSERTION = "org.soundstage.provenance"
"""The label of our own assertion in a manifest."""
OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`sign` makes ES256 signatures, as r and s (RFC 7518 §3.4); `chain_pem` is the certificate of its key,
    then that of its authority.
    """

    sign: Callable[[bytes], bytes]
    chain_pem: str


class Signer(StrEnum):
    INSTALLATION = "this installation"
    UNKNOWN = "unknown"


class ContentCredentials(BaseModel):
    """Holds what the manifest inside a video says, and whether it is valid."""

    valid: bool = Field(description="the file is as it was signed")
    signer: Signer = Field(description="whether the certificate is one of the authority that was named")
    problems: list[str] = Field(description="codes of C2PA for what does not hold")
    title: str
    software: str
    signed_by: str
    digital_source_type: str
    trace_id: str | None
    manifest: str = Field(description="its label")


def sign_video(source: Path, target: Path, record: dict[str, Any], key: SigningKey) -> None:
    """Writes `source` with a signed manifest to `target`; `record` is the provenance of the video.

    Raises Unavailable (`credentials.no_library`), Invalid (`credentials.unsignable`), and OSError.
    """
    c2pa = _library()
    try:
        context = c2pa.Context.from_dict({"verify": OFFLINE})
        signer = c2pa.Signer.from_callback(key.sign, c2pa.C2paSigningAlg.ES256, key.chain_pem, None)
        with source.open("rb") as read, target.open("w+b") as written:
            c2pa.Builder(_manifest(record), context=context).sign(signer, MP4, read, written)
    except c2pa.C2paError as error:
        raise Invalid("credentials.unsignable", f"{source.name} could not be signed: {error}.") from error


def read_credentials(video: Path, authority_pem: str | None = None) -> ContentCredentials:
    """Validates the manifest of a video; `authority_pem` is whose certificates are trusted.

    Raises NotFound (`credentials.none`, `credentials.no_file`), Invalid (`credentials.unreadable`) and
    Unavailable (`credentials.no_library`).
    """
    c2pa = _library()
    trust = {} if authority_pem is None else {"trust": {"trust_anchors": authority_pem}}
    try:
        context = c2pa.Context.from_dict({"verify": OFFLINE, **trust})
        with video.open("rb") as file, c2pa.Reader(MP4, file, context=context) as reader:
            manifest = reader.get_active_manifest() or {}
            results = (reader.get_validation_results() or {}).get("activeManifest") or {}
            state = reader.get_validation_state()
    except OSError as error:
        raise NotFound("credentials.no_file", f"{video} cannot be read: {error.strerror}.") from error
    except c2pa.C2paError as error:
        if isinstance(error, c2pa.C2paError.ManifestNotFound):
            raise NotFound(
                "credentials.none",
                f"{video.name} carries no Content Credentials.",
                "`avatar render` writes none, and a program that cuts or encodes a video again drops them.",
            ) from error
        raise Invalid(
            "credentials.unreadable",
            f"The Content Credentials of {video.name} cannot be read: {error}.",
            "The file was changed after it was signed, or cut off. Fetch it again from where it was made.",
        ) from error
    return _credentials(manifest, str(state), [str(one.get("code")) for one in results.get("failure") or ()])


def _credentials(manifest: dict[str, Any], state: str, problems: list[str]) -> ContentCredentials:
    data = {str(one.get("label")): one.get("data") or {} for one in manifest.get("assertions") or ()}
    actions = next((content for label, content in data.items() if label.startswith("c2pa.actions")), {})
    created: dict[str, Any] = next(iter(actions.get("actions") or ()), {})
    software: dict[str, Any] = next(iter(manifest.get("claim_generator_info") or ()), {})
    signature = manifest.get("signature_info") or {}
    return ContentCredentials(
        valid=state in ("Valid", "Trusted"),
        signer=Signer.INSTALLATION if state == "Trusted" else Signer.UNKNOWN,
        problems=problems,
        title=str(manifest.get("title") or ""),
        software=f"{software.get('name', '')} {software.get('version', '')}".strip(),
        signed_by=str(signature.get("common_name") or signature.get("issuer") or ""),
        digital_source_type=str(created.get("digitalSourceType") or "").rpartition("/")[2],
        trace_id=data.get(ASSERTION, {}).get("trace_id"),
        manifest=str(manifest.get("label") or ""),
    )


def _manifest(record: dict[str, Any]) -> str:
    """Returns the manifest to sign: no names of people, who stand in the record beside the video."""
    name, _, version = str(record.get("software", "Soundstage")).rpartition(" ")
    created = {"action": "c2pa.created", "digitalSourceType": record["digital_source_type"]}
    own = {name: record.get(name) for name in ("trace_id", "spec_hash", "statement", "engines")}
    return json.dumps(
        {
            "claim_generator_info": [{"name": name or version, "version": version}],
            "title": record.get("title", ""),
            "format": MP4,
            "assertions": [
                {"label": "c2pa.actions", "data": {"actions": [created]}},
                {"label": ASSERTION, "data": own},
            ],
        }
    )


def _library() -> ModuleType:
    """Raises Unavailable `credentials.no_library`: there are no wheels for some computers."""
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError) as error:
        raise Unavailable(
            "credentials.no_library",
            f"The library for Content Credentials is not usable here: {error}.",
            "Install the package c2pa-python into the environment of soundstage.",
        ) from error
    return c2pa  # type: ignore[no-any-return]
