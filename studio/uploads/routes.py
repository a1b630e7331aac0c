"""REST of uploads that come in pieces: the tus protocol, so that any of its clients can be used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request, status
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from soundstage.errors import SoundstageError
from studio.assets.upload import labels_of
from studio.guards import CreateAssets, DeleteAssets
from studio.uploads.protocol import (
    EXTENSIONS,
    VERSION,
    http_date,
    metadata_in,
    number_in,
    require_piece,
    require_version,
)
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
    """Unfinished uploads of the tenant, whoever began them: an administrator may end them."""
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
        state = await studio.uploads.add(principal, upload_id, offset, _body(request))
    except ClientDisconnect:
        # Nobody reads this; what has come is kept.
        return _answer(204, {})
    return _answer(204, _progress(state))


@router.delete("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT)
async def end_upload(upload_id: str, studio: StudioDep, principal: CreateAssets, _: Tus) -> Response:
    """Forgets it and what has come of it: who began it, and of an unfinished one also an administrator."""
    await studio.uploads.end(principal, upload_id)
    return _answer(204, {})


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


def _progress(state: UploadState) -> dict[str, str]:
    headers = {"Upload-Offset": str(state.offset), "Upload-Expires": http_date(state.expires_at)}
    if state.asset_id is not None:
        headers["Upload-Asset"] = f"/api/assets/{state.asset_id}"
    return headers


def _answer(code: int, headers: dict[str, str]) -> Response:
    return Response(status_code=code, headers={"Tus-Resumable": VERSION, **headers})
