"""REST of uploads that come in pieces: the tus protocol 1.0.0 (core, creation, expiration, termination), so
that any of its clients can be used: https://tus.io/protocols/resumable-upload
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, status
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from soundstage.errors import Invalid, SoundstageError
from studio.assets.upload import labels_of
from studio.guards import CreateAssets, DeleteAssets
from studio.uploads.service import UnfinishedUpload, UploadState
from studio.wiring import StudioDep

PREFIX = "/api/uploads"
LABELS = ("name", "kind", "project", "tags", "metadata")

router = APIRouter(prefix=PREFIX, tags=["assets"])

_TUS = {"name": "Tus-Resumable", "in": "header", "required": True, "schema": {"type": "string"}}
_PIECE = {
    "parameters": [_TUS, {"name": "Upload-Offset", "in": "header", "schema": {"type": "integer"}}],
    "requestBody": {
        "content": {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    },
}
_BEGIN = {
    "parameters": [
        _TUS,
        {"name": "Upload-Length", "in": "header", "schema": {"type": "integer"}},
        {"name": "Upload-Metadata", "in": "header", "schema": {"type": "string"}},
    ]
}


VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"
CONTENT_TYPE = "application/offset+octet-stream"
MAX_METADATA_CHARS = 16_384
MAX_DIGITS = 18


def require_version(headers: Headers) -> None:
    """Raises `upload.tus_version` (412) for a client of another version, or of none."""
    if headers.get("tus-resumable") != VERSION:
        raise SoundstageError(
            "upload.tus_version",
            f"The request does not say `Tus-Resumable: {VERSION}`.",
            "Use a client of tus 1.0.0, or upload the file whole.",
            status=412,
            headers={"Tus-Version": VERSION},
        )


def require_piece(headers: Headers) -> None:
    """Raises `upload.content_type` (415)."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise SoundstageError(
            "upload.content_type", f"A piece of an upload is {CONTENT_TYPE}.", "Send that type.", status=415
        )


def number_in(headers: Headers, name: str) -> int:
    """Return a header that is a number from 0 on. Raises `upload.bad_header`."""
    text = headers.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > MAX_DIGITS:
        raise Invalid(
            "upload.bad_header",
            f"The header {name} is no number.",
            "Send the length with the first request, and the offset with each piece.",
        )
    return int(text)


def metadata_in(header: str) -> dict[str, str]:
    """Return the pairs of `Upload-Metadata`: keys, and values in base64, with commas between. Raises
    `upload.bad_metadata`.
    """
    if len(header) > MAX_METADATA_CHARS:
        raise _bad_metadata(f"it has more than {MAX_METADATA_CHARS} characters")
    found: dict[str, str] = {}
    for pair in header.split(",") if header.strip() else ():
        key, _, value = pair.strip().partition(" ")
        if not key or key in found:
            raise _bad_metadata("a key is empty or stands there twice")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise _bad_metadata(f"the value of {key[:40]!r} is no text in base64") from error
    return found


def http_date(moment: datetime) -> str:
    """Return a time as HTTP writes it (RFC 9110 §5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _bad_metadata(why: str) -> Invalid:
    return Invalid("upload.bad_metadata", f"`Upload-Metadata` cannot be read: {why}.", "Correct it.")


async def _tus(request: Request) -> AsyncIterator[None]:
    """Errors carry the protocol's header, too."""
    try:
        require_version(request.headers)
        yield
    except SoundstageError as error:
        error.headers.setdefault("Tus-Resumable", VERSION)
        raise


Tus = Annotated[None, Depends(_tus)]


@router.options("", status_code=status.HTTP_204_NO_CONTENT)
async def describe_uploads(studio: StudioDep, _: CreateAssets) -> Response:
    """Version, extensions and the most bytes of an upload."""
    return _answer(
        204,
        {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(studio.uploads.max_bytes)},
    )


@router.get("")
async def list_uploads(studio: StudioDep, _: DeleteAssets) -> Sequence[UnfinishedUpload]:
    """Unfinished uploads of all users of the tenant: an administrator may end them."""
    return await studio.uploads.list_unfinished()


@router.post("", status_code=status.HTTP_201_CREATED, openapi_extra=_BEGIN)
async def begin_upload(request: Request, studio: StudioDep, principal: CreateAssets, _: Tus) -> Response:
    """Begins an upload of `Upload-Length` bytes; `Location` is where its pieces go. `Upload-Metadata` has
    `filename`, and what forms of assets have: `kind`, `project`, `tags`, `metadata`.
    """
    length = number_in(request.headers, "Upload-Length")
    metadata = request.headers.get("upload-metadata", "")
    pairs = metadata_in(metadata)
    labels = labels_of({key: pairs[key] for key in LABELS if key in pairs}, pairs.get("filename", ""))
    state = await studio.uploads.create(principal, length, labels, metadata)
    return _answer(201, {"Location": f"{PREFIX}/{state.id}", **_progress(state)})


@router.head("/{upload_id}")
async def look_at_upload(upload_id: str, studio: StudioDep, principal: CreateAssets, _: Tus) -> Response:
    """Returns the offset. `Upload-Asset` is the address of the asset once there is one."""
    state = await studio.uploads.look(principal, upload_id)
    headers = {"Upload-Length": str(state.length), "Cache-Control": "no-store", **_progress(state)}
    if state.upload_metadata:
        headers["Upload-Metadata"] = state.upload_metadata
    return _answer(200, headers)


@router.patch("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT, openapi_extra=_PIECE)
async def continue_upload(
    upload_id: str, request: Request, studio: StudioDep, principal: CreateAssets, _: Tus
) -> Response:
    """Adds a piece at `Upload-Offset`. With the last one the file becomes an asset: `Upload-Asset`."""
    require_piece(request.headers)
    offset = number_in(request.headers, "Upload-Offset")
    try:
        state = await studio.uploads.add(principal, upload_id, offset, request.stream())
    except ClientDisconnect:
        # The client has gone; the bytes received so far are stored.
        return _answer(204, {})
    return _answer(204, _progress(state))


@router.delete("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT)
async def end_upload(upload_id: str, studio: StudioDep, principal: CreateAssets, _: Tus) -> Response:
    """Forgets it and what has come of it: who began it, and of an unfinished one also an administrator."""
    await studio.uploads.end(principal, upload_id)
    return _answer(204, {})


def _progress(state: UploadState) -> dict[str, str]:
    headers = {"Upload-Offset": str(state.offset), "Upload-Expires": http_date(state.expires_at)}
    if state.asset_id is not None:
        headers["Upload-Asset"] = f"/api/assets/{state.asset_id}"
    return headers


def _answer(code: int, headers: dict[str, str]) -> Response:
    return Response(status_code=code, headers={"Tus-Resumable": VERSION, **headers})
